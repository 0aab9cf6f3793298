// The shared pieces that templates have too (pieces.html): what went wrong, what is not there, what is on
// its way.

import { element } from "./elements.js";

/** A notice with things to do; `problem` is one of api.js. */
export function refusal(problem, ...acts) {
  const fields = problem.fields.map((each) =>
    element("p", {}, element("code", {}, each.field), ` ${each.message}`),
  );
  const about = problem.requestId
    ? element(
        "p",
        { class: "about" },
        element(
          "small",
          {},
          `${problem.code} · request `,
          element("span", { class: "id" }, problem.requestId),
        ),
      )
    : null;
  return element(
    "section",
    { class: problem.waitsUntil ? "notice warn" : "notice error" },
    element("p", { class: "error" }, problem.message),
    fields,
    acts.length ? element("div", { class: "acts" }, acts) : null,
    about,
  );
}

export function notice(text, ...acts) {
  return element(
    "section",
    { class: "notice" },
    element("p", {}, text),
    acts.length ? element("div", { class: "acts" }, acts) : null,
  );
}

export function empty(title, text, ...more) {
  return element("section", { class: "empty" }, element("h2", {}, title), element("p", {}, text), more);
}

export function loading(text = "Loading …") {
  return element("p", { class: "loading" }, text);
}
