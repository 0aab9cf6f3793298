// The chat page: which conversation is shown, what is typed, who is told. Everything else has a file of its
// own.

import { watch } from "./approval.js";
import * as conversations from "./conversations.js";
import { confirmed, line } from "./dialog.js";
import { find } from "./elements.js";
import * as standing from "./standing.js";
import { Thread } from "./thread.js";
import { countdown } from "./times.js";

const told = JSON.parse(find("chat").dataset.told);
const ID = /^#([0-9a-f-]{36})$/;
const NEAR = 120;
const MOST_TITLE = 200;
const NARROW = matchMedia("(max-width: 52rem)");

const threads = new Map();
let current = null;
let atEnd = true;
let held = 0;

const hears = {
  heard: standing.heard,
  moved: (thread) => {
    if (thread === current && atEnd) toEnd();
  },
  said: (thread, words) => {
    if (thread === current) find("said").textContent = words;
  },
  refused: hold,
  sampled: (words) => {
    find("message").value = words;
    find("message").focus();
    grow();
  },
  ask: (thread, { message, model, thinking }) => {
    if (!thread.running) ask(thread, { message, model, thinking });
  },
  began,
  ended,
};

function show(thread) {
  current = thread;
  find("threads").replaceChildren(thread.node);
  const named = thread.id && (thread.title ?? conversations.title(thread.id));
  find("title").textContent = named || "New conversation";
  find("tools").hidden = !thread.id || !thread.title;
  conversations.show(thread.id);
  controls();
  toEnd();
}

/** Open what the address names; a conversation that is answered meanwhile is shown as it stands. */
async function follow() {
  const id = ID.exec(location.hash)?.[1] ?? null;
  if (current && id === current.id && id) return;
  let thread = id && threads.get(id);
  if (!thread) {
    thread = new Thread(id, told, hears);
    if (id) threads.set(id, thread);
  }
  show(thread);
  focus();
  if (!id || thread.turn) return;
  await thread.load();
  if (thread === current) show(thread);
}

function ask(thread, question) {
  atEnd = true;
  thread.ask(question);
  controls();
  toEnd();
}

function began(thread) {
  threads.set(thread.id, thread);
  if (thread === current) history.replaceState(null, "", `#${thread.id}`);
}

async function ended(thread, turn, given) {
  controls();
  if (!thread.id) {
    threads.delete(given);
    if (thread === current) history.replaceState(null, "", location.pathname);
  }
  await Promise.all([standing.refresh(), turn.done ? conversations.refresh(current?.id) : null]);
  if (turn.done) thread.title ??= conversations.title(thread.id);
  if (thread === current && turn.done) {
    find("title").textContent = thread.title;
    find("tools").hidden = false;
  }
}

/** Nothing can be asked before then: the service said so. */
function hold(problem) {
  if (problem.waitsUntil === null || problem.status !== 429) return;
  countdown(problem.waitsUntil, (seconds) => {
    held = seconds;
    controls();
  });
}

function controls() {
  const running = Boolean(current?.running);
  find("stop").hidden = !running;
  find("send").hidden = running;
  find("send").disabled = held > 0;
  find("send").textContent = held ? `Send in ${held} s` : "Send";
  find("threads").setAttribute("aria-busy", String(running));
}

function send() {
  const message = find("message").value;
  if (!message.trim() || current.running || held) return;
  find("message").value = "";
  grow();
  const thinking = find("thinking")?.checked ? { thinking: true } : {};
  ask(current, { message, model: find("model").value, ...thinking });
}

function stop() {
  if (!current?.running) return;
  current.turn.stop();
  find("message").focus();
}

function focus() {
  openSide(false);
  find(NARROW.matches ? "title" : "message").focus({ preventScroll: true });
}

function toEnd() {
  const place = find("threads");
  place.scrollTop = place.scrollHeight;
}

/** As many lines as are written, up to what the style allows. */
function grow() {
  const area = find("message");
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}

function openSide(open) {
  find("chat").classList.toggle("side-open", open);
  find("open-side").setAttribute("aria-expanded", String(open));
}

function closeSide() {
  openSide(false);
  find("open-side").focus();
}

async function rename() {
  const { id, title } = current;
  const words = await line("Rename the conversation", "Title", title, MOST_TITLE);
  if (words && words !== title)
    await attempt(
      () => conversations.rename(id, words),
      () => {
        current.title = words;
      },
    );
  find("rename").focus();
}

async function remove() {
  const { id, title } = current;
  if (
    !(await confirmed(
      `Delete “${title}”?`,
      "It disappears here with its history. What the audit keeps of it stays.",
      "Delete",
    ))
  )
    return find("delete").focus();
  current.turn?.stop();
  await attempt(
    () => conversations.remove(id),
    () => {
      threads.delete(id);
      location.hash = "";
    },
  );
}

/** Do something to a conversation; what went wrong is said where everything is said. */
async function attempt(act, then) {
  try {
    await act();
    then();
    show(current);
  } catch (problem) {
    find("said").textContent = problem.message;
    await confirmed("That did not work", problem.message, "Close");
  }
}

function key(event) {
  if (event.key === "Escape" && !find("dialog").open) {
    if (find("chat").classList.contains("side-open")) closeSide();
    else stop();
  }
}

function typed(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
}

find("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
find("message").addEventListener("keydown", typed);
find("message").addEventListener("input", grow);
find("stop").addEventListener("click", stop);
find("new").addEventListener("click", () => {
  if (location.hash) location.hash = "";
  else {
    show(new Thread(null, told, hears));
    focus();
  }
});
find("conversations").addEventListener("click", (event) => {
  if (event.target.closest("a[aria-current]")) focus();
});
find("more").addEventListener("click", () => conversations.earlier(current.id));
find("rename").addEventListener("click", rename);
find("delete").addEventListener("click", remove);
find("open-side").addEventListener("click", () => {
  openSide(true);
  find("new").focus();
});
find("close-side").addEventListener("click", closeSide);
find("threads").addEventListener("scroll", ({ target }) => {
  atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < NEAR;
});
document.addEventListener("keydown", key);
addEventListener("hashchange", follow);

await follow();
await Promise.all([conversations.refresh(current?.id), standing.refresh()]);
watch((turnId) => [...threads.values(), current].some((thread) => thread.turn?.id === turnId));
