// Times and amounts as people read them: in the zone they are in, with UTC where they point.

import { element } from "./elements.js";

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const HOUR = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const COUNT = new Intl.NumberFormat("en");

/** A moment; today's without its date. */
export function moment(told) {
  const date = new Date(told);
  const today = date.toDateString() === new Date().toDateString();
  const utc = `${date.toISOString().replace("T", " ").slice(0, 19)} UTC`;
  return element("time", { datetime: date.toISOString(), title: utc }, (today ? HOUR : DAY).format(date));
}

export function span(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const count = (number) => COUNT.format(number);

/** US dollars: to the cent where there are some, to the micro-dollar below. */
export function dollars(amount) {
  return `$${amount.toFixed(amount === 0 || amount >= 1 ? 2 : amount >= 0.01 ? 4 : 6)}`;
}

/** Seconds until a moment (ms), never too early. */
export const secondsUntil = (at) => Math.max(0, Math.ceil((at - Date.now()) / 1000));

/** Count down to a moment: `tick(seconds)` each second, and with 0 at the end; gives what ends it early. */
export function countdown(at, tick) {
  const step = () => {
    const left = secondsUntil(at);
    if (left === 0) clearInterval(timer);
    tick(left);
  };
  const timer = setInterval(step, 250);
  step();
  return () => clearInterval(timer);
}
