// A model's answer as it grows: paragraphs, and code between fences. Refuses everything else: whatever a
// model writes is text, so there are no links to follow, no images to load and no markup to run.

import { element } from "./elements.js";

const FENCE = /^ {0,3}```/;
const PERHAPS_FENCE = /^ {0,3}`{0,2}$/;

export class Prose {
  constructor() {
    this.node = element("div", { class: "prose" });
    this.text = "";
    this.line = "";
    this.shown = 0;
    this.block = null;
    this.fenced = false;
  }

  append(text) {
    this.text += text;
    for (const piece of text.split(/(\n)/)) {
      if (piece === "\n") this.#breakLine();
      else if (piece) this.#grow(piece);
    }
    return this;
  }

  /** What was held back, since it might have become a fence. */
  finish() {
    if (!FENCE.test(this.line)) this.#show();
    return this;
  }

  #grow(piece) {
    this.line += piece;
    if (!FENCE.test(this.line) && !PERHAPS_FENCE.test(this.line)) this.#show();
  }

  #breakLine() {
    if (FENCE.test(this.line)) this.#turn();
    else if (!this.fenced && !this.line.trim()) this.block = null;
    else {
      this.#show();
      this.#text().appendData("\n");
    }
    this.line = "";
    this.shown = 0;
  }

  #turn() {
    this.fenced = !this.fenced;
    this.block = null;
    if (!this.fenced) return;
    const name = this.line.trim().slice(3).trim();
    if (name) this.node.append(element("p", { class: "language" }, name));
    this.#open(element("pre", { tabindex: "0", "aria-label": "Code" }));
  }

  #show() {
    const text = this.line.slice(this.shown);
    if (text) this.#text().appendData(text);
    this.shown = this.line.length;
  }

  #text() {
    if (!this.block) this.#open(element("p"));
    return this.block;
  }

  #open(node) {
    this.block = document.createTextNode("");
    node.append(this.block);
    this.node.append(node);
  }
}

export const prose = (text) => new Prose().append(text).finish().node;
