// Thumbs, with a word on why. Refuses to guess: what is shown as pressed was taken by the service.

import { call } from "./api.js";
import { button, drawing, element } from "./elements.js";

const UP =
  "M7 11v9H4a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1zm0 0 4-8a2.5 2.5 0 0 1 2.5 2.5V9h5.3a2 2 0 0 1 2 2.3l-1.2 7a2 2 0 0 1-2 1.7H7";
const DOWN =
  "M7 13V4H4a1 1 0 0 0-1 1v7a1 1 0 0 0 1 1zm0 0 4 8a2.5 2.5 0 0 0 2.5-2.5V15h5.3a2 2 0 0 0 2-2.3l-1.2-7a2 2 0 0 0-2-1.7H7";

export function rating(turnId) {
  const path = `/api/v1/agent/turns/${encodeURIComponent(turnId)}/feedback`;
  const said = element("span", { class: "rated", role: "status" });
  const node = element("span", { class: "rating" });
  let given = null;

  async function give(wanted, comment) {
    try {
      if (wanted) await call("PUT", path, { rating: wanted, ...(comment ? { comment } : {}) });
      else await call("DELETE", path);
      given = wanted;
      said.textContent = comment ? "Thank you." : "";
      if (comment) form.hidden = true;
    } catch (problem) {
      said.textContent = problem.message;
    }
    for (const [name, thumb] of Object.entries(thumbs))
      thumb.setAttribute("aria-pressed", String(given === name));
  }

  async function press(name) {
    await give(given === name ? null : name);
    form.hidden = given === null;
    if (given && document.activeElement === thumbs[name]) field.focus(); // who went on meanwhile is left alone
  }

  const thumbs = {
    up: button(drawing(UP), () => press("up"), {
      class: "quiet",
      "aria-label": "Good answer",
      "aria-pressed": "false",
      title: "Good answer",
    }),
    down: button(drawing(DOWN), () => press("down"), {
      class: "quiet",
      "aria-label": "Bad answer",
      "aria-pressed": "false",
      title: "Bad answer",
    }),
  };
  const field = element("input", {
    type: "text",
    maxlength: "2000",
    placeholder: "Why? (may stay empty)",
    "aria-label": "Comment on the answer",
  });
  const form = element(
    "form",
    {
      class: "comment",
      hidden: true,
      submit: (event) => {
        event.preventDefault();
        if (field.value.trim()) give(given, field.value.trim());
        else form.hidden = true;
      },
    },
    field,
    element("button", { class: "plain" }, "Send comment"),
  );
  node.append(thumbs.up, thumbs.down, form, said);
  return node;
}
