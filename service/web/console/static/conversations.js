// The conversations at the side: the latest first, a page at a time.

import { call } from "./api.js";
import { element, find } from "./elements.js";
import { empty, loading, refusal } from "./pieces.js";
import { moment } from "./times.js";

const PATH = "/api/v1/conversations";
const PAGE = 30;

const known = new Map();
let cursor = null;

export const one = (id) => `${PATH}/${encodeURIComponent(id)}`;
export const title = (id) => known.get(id)?.title ?? "Conversation";

/** Ask for the latest, and show them; `current` is the one that is open. */
export async function refresh(current) {
  if (!known.size) find("conversations").replaceChildren(element("li", {}, loading()));
  await load(null, current);
}

export const earlier = (current) => load(cursor, current);

async function load(from, current) {
  try {
    const page = await call(
      "GET",
      `${PATH}?limit=${PAGE}${from ? `&cursor=${encodeURIComponent(from)}` : ""}`,
    );
    if (!from) known.clear();
    for (const each of page.conversations) known.set(each.id, each);
    cursor = page.nextCursor;
    show(current);
  } catch (problem) {
    find("conversations").replaceChildren(element("li", {}, refusal(problem)));
  }
}

export function show(current) {
  const items = [...known.values()].map((each) => {
    const mark = each.id === current ? { "aria-current": "true" } : {};
    return element(
      "li",
      {},
      element(
        "a",
        { href: `#${each.id}`, ...mark },
        element("span", { class: "name" }, each.title ?? "Conversation"),
        moment(each.updatedAt),
      ),
    );
  });
  find("conversations").replaceChildren(
    ...(items.length ? items : [element("li", {}, empty("None yet", "What you ask is kept here."))]),
  );
  find("more").hidden = !cursor;
}

export async function rename(id, words) {
  known.set(id, await call("PATCH", one(id), { title: words }));
}

export async function remove(id) {
  await call("DELETE", one(id));
  known.delete(id);
}
