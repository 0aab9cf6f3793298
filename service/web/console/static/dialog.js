// Questions that have to be answered before anything is done; the browser keeps the focus in, Escape is a no.

import { button, element, find } from "./elements.js";

/** Ask for a yes. */
export const confirmed = (title, text, yes) =>
  open(title, element("p", {}, text), yes, "danger", () => true).then(Boolean);

/** Ask for a line of text; null for a no. */
export function line(title, label, value, most) {
  const input = element("input", { type: "text", maxlength: most, required: true });
  input.value = value;
  const shown = open(
    title,
    element("label", {}, label, input),
    "Save",
    null,
    () => input.value.trim() || null,
  );
  input.select();
  return shown;
}

function open(title, content, yes, kind, result) {
  const dialog = find("dialog");
  return new Promise((resolve) => {
    let given = null;
    const form = element(
      "form",
      {
        method: "dialog",
        submit: () => {
          given = result();
        },
      },
      element("h2", { id: "dialog-title" }, title),
      content,
      element(
        "div",
        { class: "acts" },
        button("Cancel", () => dialog.close()),
        element("button", { class: kind }, yes),
      ),
    );
    dialog.replaceChildren(form);
    const closed = () => {
      // the close of one before this one may be told only now, when this one is open
      if (dialog.open) return;
      dialog.removeEventListener("close", closed);
      resolve(given);
    };
    dialog.addEventListener("close", closed);
    dialog.showModal();
  });
}
