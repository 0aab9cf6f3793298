// The one door to uPlot: charts over time, in the page's own colours, drawn anew where those or the width change.
// Refuses words: what a chart says stands beside it, in a legend and a table.

import uPlot from "./vendor/uplot/uPlot.esm.js";

const HEIGHT = 180;
const HOUR = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric" });
const LONG = 2 * 24 * 3600;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The sums up to each series, so that they stand on each other. */
function stacked(series) {
  const tops = [];
  for (const numbers of series) {
    const below = tops.at(-1);
    tops.push(numbers.map((number, at) => number + (below ? below[at] : 0)));
  }
  return tops;
}

/** A chart in an element. `form` is "bars" (on each other) or "lines"; `words` says a number of the axis. */
export class Plot {
  constructor(root, { form, words, pointed }) {
    this.root = root;
    this.form = form;
    this.words = words;
    this.pointed = pointed;
    this.shown = null;
    this.made = null;
    new ResizeObserver(() => this.made?.setSize({ width: root.clientWidth, height: HEIGHT })).observe(root);
    const again = () => this.shown && this.draw(this.shown);
    new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  }

  /** `slots` are seconds since 1970, `series` [{colour, numbers}], `spans` [[from, to]] in seconds are shaded. */
  draw(shown) {
    this.shown = shown;
    this.made?.destroy();
    const bars = this.form === "bars";
    const numbers = shown.series.map((each) => each.numbers);
    // the highest first: the others stand before it
    const lines = bars ? stacked(numbers).reverse() : numbers;
    const drawn = bars ? [...shown.series].reverse() : shown.series;
    this.made = new uPlot(this.options(drawn, bars), [shown.slots, ...lines], this.root);
  }

  options(drawn, bars) {
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const { slots } = this.shown;
    const step = slots[1] - slots[0];
    const clock = slots.at(-1) - slots[0] > LONG ? DAY : HOUR;
    return {
      width: this.root.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: !bars } },
      scales: {
        x: { range: [slots[0] - step / 2, slots.at(-1) + step / 2] },
        y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] },
      },
      series: [{}, ...drawn.map((each) => this.line(each, bars))],
      axes: [
        { ...axis, size: 28, values: (_, times) => times.map((time) => clock.format(new Date(time * 1000))) },
        { ...axis, size: 64, values: (_, values) => values.map((value) => this.words(value)) },
      ],
      hooks: { drawClear: [(chart) => this.shade(chart)], setCursor: [(chart) => this.pointed(chart.cursor.idx)] },
    };
  }

  line(each, bars) {
    const stroke = colour(each.colour);
    if (!bars) return { stroke, width: 2, dash: each.dash, spanGaps: false, points: { show: true, size: 4, fill: stroke } };
    return { stroke, fill: stroke, width: 0, paths: uPlot.paths.bars({ size: [0.9, 40] }), points: { show: false } };
  }

  shade(chart) {
    const { ctx, bbox } = chart;
    ctx.save();
    for (const [from, to] of this.shown.spans ?? []) {
      const left = Math.max(bbox.left, chart.valToPos(from, "x", true));
      const right = Math.min(bbox.left + bbox.width, chart.valToPos(to, "x", true));
      ctx.fillStyle = colour("--danger-soft");
      ctx.fillRect(left, bbox.top, Math.max(right - left, 3), bbox.height);
      ctx.fillStyle = colour("--danger");
      ctx.fillRect(left, bbox.top, Math.max(right - left, 3), 3);
    }
    ctx.restore();
  }
}
