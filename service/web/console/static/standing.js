// What is left of the caller's limits and budgets: from the headers of each answer, and from the API's own
// route.

import { call } from "./api.js";
import { element, find } from "./elements.js";
import { count, dollars, span } from "./times.js";

const UNITS = { 1: "second", 60: "minute", 3600: "hour", 86400: "day" };
const NAMES = {
  role: "Questions",
  address: "From this address",
  tenant: "Of your organisation",
  tokens: "Tokens",
  concurrency: "At the same time",
};
const ITEM = /"([^"]+)";r=(\d+);t=(\d+)/g;

let known = { policies: [], budgets: [], degraded: false };

/** Ask; asking costs nothing. A standing that cannot be had is none: the next answer tells. */
export async function refresh() {
  try {
    known = await call("GET", "/api/v1/limits");
    show();
  } catch {
    find("left").textContent = "Limits";
  }
}

/** What an answer's headers say, before its end. */
export function heard(headers) {
  for (const [, name, remaining, reset] of (headers.get("ratelimit") ?? "").matchAll(ITEM)) {
    const policy = known.policies.find((each) => each.name === name);
    if (policy) Object.assign(policy, { remaining: Number(remaining), reset: Number(reset) });
  }
  show();
}

function show() {
  find("left").textContent = summary();
  find("allowances").replaceChildren(table());
}

function summary() {
  const tightest = known.policies
    .filter((each) => each.name !== "concurrency")
    .sort((one, other) => share(one) - share(other))[0];
  const budget = [...known.budgets].sort(
    (one, other) => one.limit - one.spent - (other.limit - other.spent),
  )[0];
  const words = [];
  if (tightest) words.push(`${count(tightest.remaining)} of ${count(tightest.limit)} left`);
  if (budget) words.push(`${dollars(Math.max(0, budget.limit - budget.spent - budget.reserved))} left`);
  return words.join(" · ") || "No limits";
}

const share = (policy) => policy.remaining / policy.limit;

function table() {
  const head = ["Limit", "Left", "Of", "More in"].map((word, index) =>
    element("th", { class: index ? "number" : null, scope: "col" }, word),
  );
  const policies = known.policies.map((each) =>
    row(
      policyName(each),
      count(each.remaining),
      count(each.limit),
      each.reset ? span(each.reset * 1000) : "–",
    ),
  );
  const budgets = known.budgets.map((each) =>
    row(
      budgetName(each.name),
      dollars(Math.max(0, each.limit - each.spent - each.reserved)),
      dollars(each.limit),
      span(each.reset * 1000),
    ),
  );
  return element(
    "table",
    {},
    element("thead", {}, element("tr", {}, head)),
    element("tbody", {}, policies, budgets),
  );
}

function row(name, ...numbers) {
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, name),
    numbers.map((each) => element("td", { class: "number" }, each)),
  );
}

function policyName({ name, window }) {
  const words = NAMES[name] ?? name;
  return window && name !== "concurrency" ? `${words} per ${UNITS[window] ?? `${window} s`}` : words;
}

function budgetName(name) {
  const [whose, when] = name.split("_");
  return `Budget: ${{ user: "yours", role: "your role's", total: "everybody's" }[whose] ?? name}, ${when ?? ""}`;
}
