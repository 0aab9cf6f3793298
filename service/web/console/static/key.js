// The key's text: copied by a button, and gone from the page once that is left. Refuses to keep it anywhere.

import { find } from "./elements.js";

const [key, copy, copied] = ["key", "copy", "copied"].map(find);

copy.hidden = false;
copy.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(key.textContent);
    copied.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(key);
    copied.textContent = "This browser lets nobody copy but you: it is selected, press Ctrl+C.";
  }
});

// a browser may keep the page as it stands for its back button
addEventListener("pagehide", () => {
  key.textContent = "Shown once, and gone.";
  copy.hidden = true;
});
