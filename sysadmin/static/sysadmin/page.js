// Small helps on every page. A button with data-copy copies what that says, and shows for a moment that it did.
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
// Fields that look rows up are built by a script that gives them no name: they take that of their label. jQuery tells
// those who ask in turn, and that script has asked before: at the window's load it may not have run yet.
function nameLookUps() {
  for (const field of document.querySelectorAll("select.admin-autocomplete")) {
    const label = document.querySelector(`label[for="${field.id}"]`);
    const shown = field.nextElementSibling;
    if (!label || !shown) continue;
    const name = label.textContent.replace(/[:：]\s*$/, "").trim();
    for (const part of shown.querySelectorAll("[role=combobox], [role=textbox]")) part.setAttribute("aria-label", name);
  }
}
window.django?.jQuery?.(nameLookUps);
document.addEventListener("formset:added", nameLookUps);
