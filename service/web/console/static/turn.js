// One question and its answer, from the first word to the last figure; drawn as the events come.

import { asked } from "./api.js";
import { Approval, open } from "./approval.js";
import { button, element } from "./elements.js";
import { notice, refusal } from "./pieces.js";
import { Prose, prose } from "./prose.js";
import { rating } from "./rating.js";
import { count, countdown, dollars, moment, span } from "./times.js";

const STATUS = { started: "running", finished: "done", failed: "failed", denied: "not run" };
const ENDED = {
  max_tokens: "The answer reached its longest length.",
  refusal: "The model declined to go on.",
  model_context_window_exceeded: "The conversation is longer than the model can read.",
};
const MOST = 32_000;

/** A question and an answer that were given before. */
export function earlier(question, answer, told) {
  const node = shell(question.text, question.createdAt);
  if (answer.tools.length)
    node.answer.append(
      element(
        "ul",
        { class: "steps" },
        answer.tools.map((name) => step(name, "finished", null)),
      ),
    );
  node.answer.append(prose(answer.text));
  const facts = [["Answered", moment(answer.createdAt)], ...more(told, answer.turnId)];
  node.answer.append(footer(facts, rating(answer.turnId)));
  return node.whole;
}

/** A turn that runs; `hears` are what it tells: began, moved, said, ended. */
export class Turn {
  constructor(question, told, hears) {
    this.question = question;
    this.told = told;
    this.hears = hears;
    this.key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    this.aborting = new AbortController();
    this.running = false;
    this.steps = new Map();
    this.approvals = new Map();
    this.text = "";
    this.last = null;
    const { whole, answer } = shell(question.message, null);
    this.node = whole;
    this.answer = answer;
    this.wait = element("p", { class: "loading" }, "Waiting for the answer …");
    answer.append(this.wait);
  }

  async run() {
    this.running = true;
    this.begun = performance.now();
    this.hears.said("Waiting for the answer.");
    try {
      const { signal } = this.aborting;
      for await (const event of asked(
        { ...this.question, stream: true },
        { key: this.key, signal, heard: this.hears.heard },
      )) {
        this.#take(event);
        this.hears.moved();
      }
    } catch (problem) {
      this.#fail(problem);
    }
    this.running = false;
    this.wait.remove();
    for (const card of this.approvals.values()) card.end();
    this.hears.moved();
    this.hears.ended(this);
  }

  stop() {
    this.aborting.abort();
  }

  #take({ name, data }) {
    const take = {
      turn: () => {
        this.id = data.id;
        this.hears.began(data);
      },
      text: () => {
        this.text += data.text;
        this.#prose().append(data.text);
      },
      thinking: () => this.#thought().append(data.text),
      tool: () => this.#step(data),
      approval: () => this.#ask(data),
      done: () => this.#finish(data),
    }[name];
    take?.(); // an event of a later release is not for this page
  }

  /** The piece that grows now, or a new one where something else came between. */
  #grown(kind, make) {
    if (this.last?.kind !== kind) {
      this.last?.prose?.finish();
      if (kind === "text") for (const each of this.answer.querySelectorAll("details")) each.open = false;
      this.last = { kind, ...make() };
      this.wait.before(this.last.node);
    }
    return this.last;
  }

  #prose() {
    this.wait.hidden = true;
    return this.#grown("text", () => {
      const made = new Prose();
      return { node: made.node, prose: made };
    }).prose;
  }

  #thought() {
    return this.#grown("thinking", () => {
      const made = new Prose();
      return {
        node: element(
          "details",
          { class: "thinking", open: true },
          element("summary", {}, "Thinking"),
          made.node,
        ),
        prose: made,
      };
    }).prose;
  }

  #step({ id, name, status, milliseconds }) {
    const made = step(name, status, milliseconds);
    if (this.steps.has(id)) this.steps.get(id).replaceWith(made);
    else this.#grown("steps", () => ({ node: element("ul", { class: "steps" }) })).node.append(made);
    this.steps.set(id, made);
    this.wait.hidden = false;
    this.approvals.get(id)?.close(status === "denied" ? "Not run." : "Approved.");
    if (status !== "started") this.hears.said(`${name}: ${STATUS[status] ?? status}.`);
  }

  async #ask(data) {
    const card = new Approval(this.id, data, { mayDecide: false });
    this.approvals.set(data.id, card);
    this.#grown("approval", () => ({ node: element("div") })).node.append(card.node);
    this.hears.said(`${data.name} waits for approval.`);
    try {
      const mine = (await open()).some((each) => each.id === data.id && each.turnId === this.id);
      if (mine) card.settle(true);
    } catch {
      // whoever may decide finds it at the side as well
    }
    this.hears.moved();
  }

  #finish(done) {
    this.last?.prose?.finish();
    this.done = done;
    if (ENDED[done.stopReason])
      this.wait.before(notice(ENDED[done.stopReason], ...this.#acts(done.stopReason === "max_tokens")));
    const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens } = done.usage;
    const facts = [
      ["Model", done.model],
      ["Time", span(performance.now() - this.begun)],
      ["In", `${count(inputTokens)} tokens`],
      ["Out", `${count(outputTokens)} tokens`],
      ["Cost", dollars(done.cost)],
      ...trace(this.told, done.traceId),
      ...more(this.told, done.id),
    ];
    if (cacheReadTokens || cacheWriteTokens)
      facts.splice(3, 0, ["Cache", `${count(cacheReadTokens)} read, ${count(cacheWriteTokens)} written`]);
    this.wait.before(
      footer(
        facts,
        rating(done.id),
        button("Ask again", () => this.hears.again(this), { class: "quiet again" }),
      ),
    );
    this.hears.said(`Answer: ${this.text}`);
  }

  #fail(problem) {
    this.last?.prose?.finish();
    if (this.aborting.signal.aborted) {
      this.wait.before(notice("Stopped.", ...this.#acts(Boolean(this.text)), this.#retry("Ask again")));
      if (this.id) this.wait.before(footer(more(this.told, this.id)));
      this.hears.said("Stopped.");
      return;
    }
    this.problem = problem;
    this.wait.before(refusal(problem, ...this.#ways(problem)));
    const facts = problem.traceId ? trace(this.told, problem.traceId) : [];
    if (problem.requestId) facts.push(...more(this.told, problem.requestId));
    if (facts.length) this.wait.before(footer(facts));
    this.hears.said(problem.message);
    this.hears.refused(problem);
  }

  #ways(problem) {
    if (problem.category === "authentication")
      return [element("a", { class: "button", href: "/console/" }, "Sign in")];
    const retry = this.#retry("Try again");
    if (problem.waitsUntil === null) return [retry, ...this.#acts(Boolean(this.text))];
    const left = element("span", { class: "countdown" });
    retry.disabled = true;
    this.uncount = countdown(problem.waitsUntil, (seconds) => {
      left.textContent = seconds ? `You can ask again in ${seconds} s.` : "You can ask again now.";
      retry.disabled = seconds > 0;
      if (!seconds && this.node.isConnected) this.hears.said(left.textContent);
    });
    return [retry, left];
  }

  #retry(words) {
    return button(words, () => {
      this.uncount?.();
      this.hears.retry(this);
    });
  }

  #acts(wanted) {
    return wanted ? [button("Continue", () => this.hears.proceed(continued(this)))] : [];
  }
}

/** A question that goes on: what was answered whole the conversation knows, the rest has to be told again. */
function continued(turn) {
  if (turn.done) return "Continue.";
  const words = `Continue your answer to this question:\n\n${turn.question.message}\n\nSo far you had written:\n\n`;
  return (words + turn.text.slice(-Math.max(0, MOST - words.length))).slice(0, MOST);
}

function shell(question, createdAt) {
  const answer = element("div", { class: "answer" }, element("h2", { class: "unseen" }, "Answer"));
  const asked = element(
    "div",
    { class: "question" },
    element("h2", { class: "unseen" }, "You asked"),
    element("p", {}, question),
  );
  if (createdAt) asked.append(moment(createdAt));
  return { whole: element("article", { class: "turn" }, asked, answer), answer };
}

function step(name, status, milliseconds) {
  const time =
    status === "started" || milliseconds === null
      ? null
      : element("span", { class: "took" }, span(milliseconds));
  return element(
    "li",
    { class: `step ${status}` },
    element("code", {}, name),
    element("span", { class: "status" }, STATUS[status] ?? status),
    time,
  );
}

function footer(facts, ...acts) {
  const list = facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value)),
  );
  return element(
    "footer",
    { class: "figures" },
    element("dl", {}, list),
    element("span", { class: "acts" }, acts),
  );
}

function trace(told, id) {
  const shown = told.traceUrl
    ? element(
        "a",
        {
          class: "id",
          href: told.traceUrl.replace("{traceId}", encodeURIComponent(id)),
          target: "_blank",
          rel: "noreferrer",
        },
        id,
      )
    : element("span", { class: "id" }, id);
  return [["Trace", shown]];
}

/** Where all of a turn is told, as far as there is such a page. */
function more(told, id) {
  if (!told.turnUrl) return [];
  return [
    ["Query", element("a", { href: told.turnUrl.replace("{turnId}", encodeURIComponent(id)) }, "Details")],
  ];
}
