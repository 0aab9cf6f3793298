// Says that the log is being verified while the browser waits for the page that has the verdict.

import { find } from "./elements.js";

const form = find("verify");
const running = find("running");
const seconds = running.querySelector(".seconds");
const button = form.querySelector("button");

let timer = null;

function rest() {
  clearInterval(timer);
  running.hidden = true;
  button.removeAttribute("aria-disabled");
}

form.addEventListener("submit", (event) => {
  if (!running.hidden) {
    event.preventDefault(); // one is under way
    return;
  }
  const begun = Date.now();
  running.hidden = false;
  button.setAttribute("aria-disabled", "true");
  timer = setInterval(() => {
    seconds.textContent = `${Math.round((Date.now() - begun) / 1000)} s`;
  }, 500);
});

addEventListener("pageshow", rest); // back from the verdict: the page may be as it was left
find("verdict")?.focus();
