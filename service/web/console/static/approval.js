// Calls of tools that wait for a yes: what would be run, as text, and the two buttons of whoever may decide.

import { call } from "./api.js";
import { button, element, find } from "./elements.js";
import { countdown } from "./times.js";

const LIST = "/api/v1/agent/approvals";
const POLL = 15_000;

/** A card; `waiting` is an event's data or one of the list's, `turnId` whose turn it is. */
export class Approval {
  constructor(turnId, waiting, { mayDecide, decided = () => {} }) {
    this.id = waiting.id;
    this.path = `/api/v1/agent/turns/${encodeURIComponent(turnId)}/approvals/${encodeURIComponent(waiting.id)}`;
    this.decided = decided;
    this.left = element("span", { class: "left" });
    this.acts = element("div", { class: "acts" });
    this.node = element(
      "section",
      { class: "notice warn approval", "aria-label": `Approval of ${waiting.name}` },
      element("h3", {}, "May ", element("code", {}, waiting.name), " be run?"),
      waiting.userId ? element("p", {}, `Asked for ${waiting.userId}.`) : null,
      element(
        "pre",
        { tabindex: "0", "aria-label": "Arguments" },
        waiting.arguments === null
          ? "The arguments cannot be shown."
          : JSON.stringify(waiting.arguments, null, 2),
      ),
      this.acts,
    );
    this.settle(mayDecide);
    this.end = countdown(Date.parse(waiting.expiresAt), (seconds) => {
      this.left.textContent = seconds ? `${seconds} s left` : "Time is up: not run.";
      if (!seconds && !this.closed) this.acts.replaceChildren(this.left);
    });
  }

  settle(mayDecide) {
    if (this.closed) return;
    const buttons = mayDecide
      ? [
          button("Approve", () => this.#decide("approve"), { class: null }),
          button("Deny", () => this.#decide("deny"), { class: "danger" }),
        ]
      : [element("span", {}, "Somebody who may approve this has to say yes.")];
    this.acts.replaceChildren(...buttons, this.left);
  }

  /** Nobody has to decide any more; `word` is what became of it, where it was not decided here. */
  close(word) {
    if (this.closed) return;
    this.closed = true;
    this.end();
    this.acts.replaceChildren(element("span", {}, this.word ?? word));
  }

  async #decide(decision) {
    for (const each of this.acts.querySelectorAll("button")) each.disabled = true;
    try {
      this.word = decision === "approve" ? "Approved." : "Denied.";
      await call("POST", this.path, { decision });
      this.close(this.word);
    } catch (problem) {
      this.word = null;
      this.close(problem.message);
    }
    this.decided();
  }
}

/** What the caller may decide now. */
export async function open() {
  return (await call("GET", LIST)).approvals;
}

/** Show what waits in other turns, and go on looking while the page is seen. `own(turnId)`: shown elsewhere. */
export function watch(own) {
  const place = find("waiting");
  const cards = new Map();

  async function look() {
    if (document.hidden) return;
    let waiting;
    try {
      waiting = (await open()).filter((each) => !own(each.turnId));
    } catch {
      return; // the next look tells
    }
    const now = new Set(waiting.map((each) => each.id));
    for (const [id, card] of cards) if (!now.has(id)) (card.node.remove(), card.end(), cards.delete(id));
    for (const each of waiting) {
      if (cards.has(each.id)) continue;
      const card = new Approval(each.turnId, each, {
        mayDecide: true,
        decided: () => setTimeout(look, 2000),
      });
      cards.set(each.id, card);
      place.append(card.node);
    }
    place.hidden = !cards.size;
  }

  setInterval(look, POLL);
  document.addEventListener("visibilitychange", look);
  look();
}
