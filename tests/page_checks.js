// What the browser's tests ask of a page that is open. Evaluated as text before the call.
"use strict";
// Texts and inputs that reach out of the window, or that something around them cuts off. What scrolls by itself may be
// wider than it shows.
var unfit = () => {
  const found = new Set();
  const width = document.documentElement.clientWidth;
  const whole = document.documentElement.scrollWidth;
  if (whole > width + 1) found.add(`the page is ${whole} wide`);
  const isHidden = (one, style) =>
    style.display === "none" || style.visibility === "hidden" || style.opacity === "0" || style.clip !== "auto" ||
    style.clipPath !== "none";
  const check = (name, box, from) => {
    if (!box.width || !box.height) return;
    for (let one = from; one && one !== document.documentElement; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (isHidden(one, style) || /auto|scroll/.test(style.overflowX)) return;
      const around = one.getBoundingClientRect();
      if (/hidden|clip/.test(style.overflowX) && (box.right > around.right + 1 || box.left < around.left - 1)) {
        found.add(`clipped: ${name}`);
        return;
      }
    }
    if (box.right > width + 1 || box.left < -1) found.add(`out of the window: ${name}`);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    if (!node.data.trim() || node.parentElement.closest("script, style, option")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) check(node.data.trim().slice(0, 60), box, node.parentElement);
  }
  for (const one of document.querySelectorAll("input:not([type=hidden]), select, textarea, button, img, svg")) {
    if (!isHidden(one, getComputedStyle(one))) check(`${one.tagName} ${one.name || one.id}`, one.getBoundingClientRect(), one.parentElement);
  }
  return [...found];
};
// English in an Arabic page. Ids, addresses and file names have signs or digits in them; names of the database's things
// stand from left to right (dir=ltr) and are no sentences; what a program said in English says so (lang=en).
var untranslated = () => {
  const found = new Set();
  const names = /\b(Webhook|IP|PostgreSQL|SQL|SAR|migrate)\b/g;
  const isName = (word) => /[A-Za-z]/.test(word) && /[\d_@]|[A-Za-z][.:/][A-Za-z]/.test(word);
  const look = (text, from) => {
    if (from.closest("script, style, noscript, code, pre, textarea, [lang=en]")) return;
    const words = text.split(/\s+/).filter((word) => !isName(word)).join(" ").replace(names, " ");
    const isSentence = /[A-Za-z]{2,} +[A-Za-z]{2,} +[A-Za-z]{2,}/.test(words);
    const hasWord = /[A-Za-z]{2}/.test(words) && !from.closest("[dir=ltr]");
    if (isSentence || hasWord) found.add(`English: ${text.trim().slice(0, 80)}`);
  };
  const texts = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) look(texts.currentNode.data, texts.currentNode.parentElement);
  for (const name of ["title", "alt", "placeholder", "aria-label"]) {
    for (const one of document.querySelectorAll(`[${name}]`)) look(one.getAttribute(name), one);
  }
  for (const one of document.querySelectorAll("input[type=submit], input[type=button], input[type=reset]")) look(one.value, one);
  return [...found];
};
