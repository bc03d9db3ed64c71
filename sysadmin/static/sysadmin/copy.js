// A button with data-copy copies what that says, and shows for a moment that it did.
"use strict";
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("copied");
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling); // to be copied by hand
    return;
  }
  setTimeout(() => button.classList.remove("copied"), 1500);
});
