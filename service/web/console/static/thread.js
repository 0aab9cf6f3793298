// A conversation as it is shown. It goes on by itself while another one is looked at.

import { call } from "./api.js";
import { one } from "./conversations.js";
import { button, element } from "./elements.js";
import { empty, loading, refusal } from "./pieces.js";
import { Turn, earlier } from "./turn.js";

const SAMPLES = [
  "What is 12*7?",
  "What time is it in Europe/Berlin?",
  "[sim:tools3] Use three tools",
  "[sim:slow:150] Answer slowly",
  "[sim:429-after:5] Refuse me",
];

export class Thread {
  constructor(id, told, hears) {
    this.id = id;
    this.told = told;
    this.hears = hears;
    this.turn = null;
    this.node = element("div", {
      class: "thread",
      role: "log",
      "aria-live": "off",
      "aria-label": "Questions and answers",
      tabindex: "0",
    });
    this.kept = Boolean(id);
    if (!id) this.node.append(this.#welcome());
  }

  get running() {
    return Boolean(this.turn?.running);
  }

  /** Ask for what was said before. */
  async load() {
    this.node.replaceChildren(loading());
    try {
      const found = await call("GET", one(this.id));
      this.title = found.title ?? "Conversation";
      this.node.replaceChildren(...this.#told(found.messages));
    } catch (problem) {
      this.node.replaceChildren(refusal(problem));
    }
  }

  /** Ask; what is heard on the way is told to `hears`. */
  ask(question) {
    this.node.querySelector(".empty")?.remove();
    for (const each of this.node.querySelectorAll(".again")) each.remove();
    const asked = this.id ? { ...question, conversationId: this.id } : question;
    this.turn = new Turn(asked, this.told, {
      ...this.#forwarded(),
      began: (data) => {
        this.id = data.conversationId;
        this.hears.began(this);
      },
      ended: (turn) => this.#ended(turn),
      retry: (turn) => this.#retry(turn),
      again: (turn) => this.hears.ask(this, turn.question),
      proceed: (message) => this.hears.ask(this, { ...question, message }),
    });
    this.node.append(this.turn.node);
    this.turn.run();
  }

  #forwarded() {
    const { heard, moved, said, refused } = this.hears;
    return { heard, refused, moved: () => moved(this), said: (words) => said(this, words) };
  }

  /** A first turn that was not answered leaves no conversation: the next one begins another. */
  #ended(turn) {
    this.kept ||= Boolean(turn.done);
    const given = this.id;
    if (!this.kept) this.id = null;
    this.hears.ended(this, turn, given);
  }

  #retry(turn) {
    if (this.running) return;
    turn.node.remove();
    this.hears.ask(this, turn.question);
  }

  *#told(messages) {
    for (let index = 0; index + 1 < messages.length; index += 2)
      yield earlier(messages[index], messages[index + 1], this.told);
  }

  #welcome() {
    const samples = this.told.simulated
      ? SAMPLES.map((words) => button(words, () => this.hears.sampled(words)))
      : [];
    return empty(
      "What would you like to know?",
      "The answer comes word by word, with every tool that was used and what it cost.",
      element("div", { class: "samples" }, samples),
    );
  }
}
