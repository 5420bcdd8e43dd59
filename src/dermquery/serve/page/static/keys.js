// Keys for the whole page: / for the text, digits and arrows between hits, r and x to mark the one in focus.
const writing = (element) => element?.closest?.("input:not([type=checkbox]), textarea, select, dialog, [contenteditable]");
const hits = () => [...document.querySelectorAll(".cards .open")];

function go(hit) {
  if (!hit) return;
  hit.focus({ preventScroll: true });
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  hit.scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    const menu = document.querySelector(".menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    return;
  }
  const dialog = event.target.closest?.("dialog[open]");
  if (dialog && !writing(event.target.closest("input, textarea, select"))) {
    // Between hits without leaving the comparison.
    if (event.key === "PageUp" || event.key === "PageDown") {
      event.preventDefault();
      dialog.querySelector(event.key === "PageUp" ? "#compare-previous" : "#compare-next")?.click();
    }
    return;
  }
  if (writing(event.target)) return;
  const all = hits();
  const card = event.target.closest?.(".card");
  const here = all.indexOf(card?.querySelector(".open"));
  const deeds = {
    "/": () => document.getElementById("text")?.focus(),
    ArrowRight: () => go(all[Math.min(here + 1, all.length - 1)]),
    ArrowLeft: () => go(all[Math.max(here - 1, 0)]),
    r: () => card?.querySelector(".mark-yes")?.click(),
    x: () => card?.querySelector(".mark-no")?.click(),
  };
  const deed = /^[1-9]$/.test(event.key) ? () => go(all[Number(event.key) - 1]) : deeds[event.key];
  if (!deed || (!all.length && event.key !== "/")) return;
  event.preventDefault();
  deed();
});

// A menu closes when something else is chosen.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".menu[open]"))
    if (!menu.contains(event.target) || event.target.closest(".menu-list a, .menu-list button")) menu.open = false;
});
