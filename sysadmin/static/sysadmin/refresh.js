// A page that says data-refresh="SECONDS" is fetched anew and put in place, while it is looked at and nobody types in it.
"use strict";
(() => {
  const area = () => document.querySelector("[data-refresh]");
  const opened = (of) => new Set([...of.querySelectorAll("details[open]")].map((one) => one.querySelector("summary").textContent));
  async function refresh() {
    const old = area();
    if (document.hidden || old.contains(document.activeElement)) return;
    // Nobody has done anything: it keeps no session alive. Where that has ended, signing in is what is shown.
    const answer = await fetch(location.href, { credentials: "same-origin", headers: { "X-Refresh": "1" } });
    if (answer.redirected) location.reload();
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-refresh]");
    if (!fresh) return;
    const open = opened(old);
    for (const one of fresh.querySelectorAll("details")) one.open = open.has(one.querySelector("summary").textContent);
    old.replaceWith(document.adoptNode(fresh));
  }
  if (area()) setInterval(() => refresh().catch(() => {}), 1000 * Number(area().dataset.refresh));
})();
