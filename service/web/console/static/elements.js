// Elements with text in them. Refuses markup: what comes from a model, a tool or a person is a text node.

const SVG = "http://www.w3.org/2000/svg";

/** An element; attributes whose value is null are left out, functions listen to the event of their name. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== null && value !== undefined && value !== false)
      made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((each) => each !== null && each !== undefined));
  return made;
}

/** A drawing of one path, in the colour of the text around it; the button it is on says what it means. */
export function drawing(path) {
  const made = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({
    viewBox: "0 0 24 24",
    width: "18",
    height: "18",
    "aria-hidden": "true",
    class: "drawing",
  }))
    made.setAttribute(key, value);
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  made.append(line);
  return made;
}

export const find = (id) => document.getElementById(id);

export function button(text, listener, attributes = {}) {
  return element("button", { type: "button", class: "plain", click: listener, ...attributes }, text);
}
