// The board: asks for news, and puts numbers where the page says that they belong.
// Refuses to go on asking while nobody looks, and to hide that what is shown is old.

import { news } from "./api.js";
import { element, find } from "./elements.js";
import { refusal } from "./pieces.js";
import { Plot } from "./plot.js";
import { count, dollars, moment, span } from "./times.js";

const board = find("board");
const NONE = "–";
const NUMBERS = new Set(["count", "seconds", "dollars", "share"]);
const PLACED = { id: "id", state: "state" };
const SLOWEST = 60;
const AWAY = new Set([401, 403]);

const KINDS = {
  text: (value) => (value === null || value === "" ? NONE : String(value)),
  id: (value) => value,
  state: (value) => value,
  count: (value) => count(value),
  seconds: (value) => (value === null ? NONE : span(value * 1000)),
  dollars: (value) => dollars(value),
  share: (value) => `${Math.round(value * 100)} %`,
  moment: (value) => (value === null ? NONE : moment(value)),
  ending: (value) => (value === null ? "goes on" : moment(value)),
  advice: (value) => element("a", { href: `/console/runbook#${value.toLowerCase()}` }, "Runbook"),
  verdict: (value) => ({ true: "valid", false: "not valid" })[value] ?? "",
};

const at = (report, path) => path.split(".").reduce((value, name) => value[name], report);

/** Put a value there, unless it stands there already. */
function put(place, shown) {
  const text = typeof shown === "string" ? shown : shown.textContent;
  if (place.textContent.trim() === text) return;
  place.replaceChildren(shown);
}

function rowsOf(value) {
  if (Array.isArray(value)) return value;
  if ("p50" in value) return [value];
  return Object.entries(value).map(([key, one]) => (typeof one === "object" ? { key, ...one } : { key, value: one }));
}

function fill(table, report) {
  const columns = [...table.tHead.rows[0].cells].map((cell) => cell.dataset);
  const rows = rowsOf(at(report, table.dataset.rows));
  const cells = rows.map((row) =>
    element(
      "tr",
      {},
      columns.map(({ name, kind }) =>
        element("td", { class: NUMBERS.has(kind) ? "number" : (PLACED[kind] ?? null) }, KINDS[kind](row[name])),
      ),
    ),
  );
  const none = element("tr", {}, element("td", { class: "none", colspan: columns.length }, table.dataset.none));
  table.tBodies[0].replaceChildren(...(cells.length ? cells : [none]));
}

function tellStatus({ level, items }) {
  const root = find("status");
  const words = JSON.stringify(items);
  if (root.dataset.words === words) return;
  root.dataset.words = words;
  root.className = `status ${level}`;
  const title = items.length ? `${items.length} not well` : "All is well.";
  const links = items.map((item) => element("li", {}, element("a", { href: `#${item.part}` }, item.words)));
  root.replaceChildren(
    element("p", {}, element("strong", {}, title)),
    ...(links.length ? [element("ul", {}, links)] : []),
  );
}

const COLOURS = {
  answered: "--s-good",
  refused: "--s-2",
  failed: "--s-bad",
  client_gone: "--s-4",
  timed_out: "--s-5",
  interrupted: "--s-6",
  shutdown: "--s-7",
  authentication: "--s-1",
  authorization: "--s-2",
  validation: "--s-4",
  rate_limit: "--s-3",
  database: "--s-5",
  agent_service: "--s-bad",
  network: "--s-6",
  unknown: "--s-7",
  allowed: "--s-good",
  denied: "--s-bad",
  observed: "--s-3",
  p50: "--s-good",
  p95: "--s-3",
  p99: "--s-bad",
  cost: "--s-1",
};
const DASHES = { p95: [8, 4], p99: [2, 3] };
const ORDER = ["p50", "p95", "p99"];

/** A chart of the page: its drawing, legend, what the pointer is at, and the table that says the same. */
class Chart {
  constructor(figure) {
    this.figure = figure;
    this.name = figure.dataset.chart;
    this.lines = figure.dataset.chart === "latency" || figure.dataset.chart === "firstText";
    this.kind = this.lines ? KINDS.seconds : this.name === "cost" ? KINDS.dollars : KINDS.count;
    this.readout = figure.querySelector(".readout");
    this.details = figure.querySelector("details");
    figure.hidden = false;
    this.plot = new Plot(figure.querySelector(".plot"), {
      form: this.lines ? "lines" : "bars",
      words: this.kind,
      pointed: (index) => this.read(index),
    });
    this.details.addEventListener("toggle", () => this.list());
  }

  show(report) {
    const told = report[this.name];
    const series = this.name === "cost" ? { cost: told.series } : told.series;
    const names = this.lines ? ORDER : Object.keys(series).filter((name) => series[name].some((number) => number > 0));
    this.report = report;
    this.series = names.map((name) => ({ name, numbers: series[name], colour: COLOURS[name], dash: DASHES[name] }));
    const now = Date.parse(report.at) / 1000;
    const spikes = told.spikes ?? [];
    const spans = spikes.map((each) => [Date.parse(each.since) / 1000, each.until ? Date.parse(each.until) / 1000 : now]);
    this.plot.draw({ slots: report.slots, series: this.series, spans });
    this.legend();
    this.list();
  }

  legend() {
    const list = this.figure.querySelector(".legend");
    const made = this.series.map(({ name, colour }) => {
      const key = element("span", { class: "key" });
      key.style.background = `var(${colour})`;
      return element("li", {}, key, name);
    });
    list.replaceChildren(...(made.length ? made : [element("li", {}, "Nothing in this time.")]));
  }

  read(index) {
    if (index === null || index === undefined || !this.series) {
      this.readout.textContent = "\u00a0";
      return;
    }
    const parts = this.series.map(({ name, numbers }) => `${name} ${this.kind(numbers[index])}`);
    this.readout.textContent = `${this.when(index).textContent}: ${parts.join(" · ") || "nothing"}`;
  }

  when(index) {
    return moment(new Date(this.report.slots[index] * 1000).toISOString());
  }

  /** All numbers, the newest first, where somebody has opened them. */
  list() {
    if (!this.details.open || !this.series) return;
    const heads = this.series.map(({ name }) => element("th", { scope: "col", class: "number" }, name));
    const rows = this.report.slots
      .map((_, index) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, this.when(index)),
          this.series.map(({ numbers }) => element("td", { class: "number" }, this.kind(numbers[index]))),
        ),
      )
      .reverse();
    const table = element(
      "table",
      {},
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "From"), heads)),
      element("tbody", {}, rows),
    );
    this.details.querySelector(".scrolls").replaceChildren(table);
  }
}

const charts = [...document.querySelectorAll("[data-chart]")].map((figure) => new Chart(figure));

function show(report) {
  put(find("at"), moment(report.at));
  find("reading").hidden = report.complete;
  find("fault").hidden = report.fault === null;
  find("fault").textContent = `The numbers are of an earlier moment: ${report.fault}`;
  tellStatus(report.status);
  for (const place of board.querySelectorAll("[data-value]"))
    put(place, KINDS[place.dataset.kind](at(report, place.dataset.value)));
  for (const table of board.querySelectorAll("[data-rows]")) fill(table, report);
  for (const chart of charts) chart.show(report);
}

let tag = null;
let timer = 0;
let again = Number(board.dataset.again);
let paused = false;

async function ask() {
  clearTimeout(timer);
  try {
    const found = await news(board.dataset.api, tag);
    find("trouble").replaceChildren();
    if (found) {
      tag = found.tag;
      show(found.body);
      again = found.body.again;
    } else put(find("at"), moment(new Date().toISOString()));
  } catch (problem) {
    if (!problem.code) throw problem;
    find("trouble").replaceChildren(refusal(problem));
    if (AWAY.has(problem.status)) return;
    again = Math.min(again * 2, SLOWEST);
  }
  wait();
}

function wait() {
  clearTimeout(timer);
  if (!paused && !document.hidden) timer = setTimeout(ask, Math.max(again, 10) * 1000);
}

const pause = find("pause");
pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  if (!paused) ask();
  else clearTimeout(timer);
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : !paused && ask()));

ask();
