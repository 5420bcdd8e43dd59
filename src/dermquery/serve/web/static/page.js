// What all pages share: theme, help, menus, keys, marks, and that old hits are told from new ones.
const $ = (selector, within = document) => within.querySelector(selector);
const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
const on = (name, listener) => document.addEventListener(name, listener);
const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export function say(words) {
  const toast = $("#toast");
  toast.textContent = "";
  requestAnimationFrame(() => (toast.textContent = words));
}

// A number as the page's language writes it.
export const number = (value, digits = 0) => Number(value).toLocaleString(document.documentElement.lang, { minimumFractionDigits: digits, maximumFractionDigits: digits });

function problem(words) {
  const place = $("#problem");
  if (!place) return say(words);
  place.replaceChildren(Object.assign(document.createElement("p"), { className: "problem", textContent: words }));
}

// --- theme, help, menus ----------------------------------------------------------------------------------------

on("click", (event) => {
  const target = event.target.closest("button, a, summary");
  if (target?.id === "theme") {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("dermquery-theme", root.dataset.theme);
  }
  if (target?.id === "help-open") $("#help").showModal();
  if (target?.matches("[data-close]")) target.closest("dialog").close();
  if (target?.dataset.copy) navigator.clipboard?.writeText(location.href).then(() => say(target.dataset.copy));
  for (const menu of $$(".menu[open]")) if (!menu.contains(event.target) || event.target.closest("ul.menu-list a, ul.menu-list button")) menu.open = false;
});

// --- the form --------------------------------------------------------------------------------------------------

const ask = $("#ask");

// What changes what is asked makes the hits old; what narrows or weighs them ranks them again at once.
function edited() {
  if ($("#results input[name=query]")) $("#results").classList.add("old");
}

export function read() {
  window.htmx?.trigger(document.body, "read");
}

ask?.addEventListener("input", (event) => {
  const { name } = event.target;
  if (name === "text" || name === "drop" || name?.startsWith("term.") || name?.startsWith("without_")) edited();
  if (name === "drop" || name?.startsWith("term.")) read();
  if (event.target.type === "range") event.target.nextElementSibling.textContent = number(event.target.value, 2);
});
ask?.addEventListener("edited", edited);

ask?.addEventListener("change", (event) => {
  const { target } = event;
  if (target.closest("#filter-values")) {
    if (target.type === "checkbox" && target.checked) {
      const other = $$("input", target.closest(".value")).find((box) => box !== target); // only one of both
      if (other) other.checked = false;
    }
    if ($("#results input[name=query]")) {
      const values = { rerank: "filters" };
      window.htmx.ajax("POST", ask.action, { source: ask, target: "#results", values });
    }
  }
  counted();
});

function counted() {
  const n = $$('#checklist input[type="radio"]:checked').filter((radio) => radio.value).length;
  const badge = $('[data-count-of="term"]');
  if (badge) badge.textContent = n || "";
}

on("click", (event) => {
  const together = event.target.closest("[data-terms]");
  if (together) {
    const terms = JSON.parse(together.dataset.terms);
    for (const radio of $$('#checklist input[type="radio"]')) radio.checked = radio.value === (terms[radio.name.slice(5)] ?? "");
    counted();
    edited();
    read();
  }
  const criterion = event.target.closest("[data-criterion]");
  if (criterion) {
    event.preventDefault();
    $("#checklist").open = true;
    const row = $(`#criterion-${criterion.dataset.criterion}`);
    row.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
    ($$("input", row).find((radio) => radio.value === criterion.dataset.value) ?? $("input", row)).focus({ preventScroll: true });
  }
});

// --- answers ---------------------------------------------------------------------------------------------------

// Problems of the guard and the API are JSON; their words belong beside the form.
on("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (!(xhr.getResponseHeader("content-type") ?? "").includes("json")) return;
  event.detail.shouldSwap = false;
  if (xhr.status === 401) return location.reload();
  let said = {};
  try { said = JSON.parse(xhr.responseText); } catch { /* not of ours */ }
  problem(said.detail ?? `${xhr.status}`);
});
on("htmx:validation:halted", (event) => {
  for (const { elt } of event.detail.errors) {
    elt.closest("details")?.setAttribute("open", "");
    elt.reportValidity?.();
  }
});
on("htmx:sendError", () => problem(document.body.dataset.lost));
on("htmx:configRequest", (event) => { // the CSRF token goes in the header; nothing of the page is left out
  if (event.detail.path.endsWith("/searches") && event.detail.parameters.rerank === undefined) event.detail.headers["X-Announced"] = "1";
});
on("htmx:afterSwap", (event) => {
  if (!["results", "hits"].includes(event.target.id)) return;
  if (event.detail.requestConfig.parameters.rerank === undefined) event.target.classList.remove("old");
  marked();
  if (innerWidth < 961 && event.detail.requestConfig.headers["X-Announced"]) event.target.scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
});
on("htmx:oobAfterSwap", counted);

// --- marks -----------------------------------------------------------------------------------------------------

function marked() {
  const bar = $(".mark-bar");
  if (!bar) return;
  const [yes, no] = ["yes", "no"].map((kind) => $$(`.mark.${kind} input:checked`).length);
  const words = $("[data-marks]", bar);
  words.textContent = yes + no ? words.dataset.words.replace("{yes}", yes).replace("{no}", no) : "";
  bar.classList.toggle("shown", yes + no > 0);
}

function mark(card, kind) {
  for (const box of $$(".mark input", card)) box.checked = kind !== null && box.closest(".mark").classList.contains(kind) && !(box.checked && kind);
  marked();
}

on("change", (event) => {
  const label = event.target.closest(".mark");
  if (!label) return;
  if (event.target.checked) for (const box of $$(".mark input", label.parentElement)) if (box !== event.target) box.checked = false;
  marked();
});
on("click", (event) => {
  if (!event.target.closest("[data-unmark]")) return;
  for (const box of $$(".mark input")) box.checked = false;
  marked();
});

// --- keys ------------------------------------------------------------------------------------------------------

const writing = (element) => element.matches?.("textarea, select, [contenteditable], input:not([type=checkbox]):not([type=radio]):not([type=file])");

function go(hit) {
  if (!hit) return;
  hit.focus({ preventScroll: true });
  hit.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
}

function below(all, here, by) {
  const now = all[here].getBoundingClientRect();
  const rows = all.filter((hit) => Math.sign(hit.getBoundingClientRect().top - now.top) === by);
  const apart = (hit) => { const box = hit.getBoundingClientRect(); return 10 * Math.abs(box.top - now.top) + Math.abs(box.left - now.left); };
  return rows.sort((a, b) => apart(a) - apart(b))[0];
}

on("keydown", (event) => {
  const { key, target } = event;
  if (target.id === "text" && key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    return $("#search").click();
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (key === "Escape") {
    const menu = $(".menu[open]");
    if (menu) {
      menu.open = false;
      $("summary", menu).focus();
    }
    return;
  }
  if (writing(target) || $("dialog[open]")) return;
  const radio = target.matches('input[type="radio"]') && key.startsWith("Arrow"); // the browser's own
  const all = $$(".cards .open");
  const card = target.closest(".card");
  const here = all.indexOf(card && $(".open", card));
  const deeds = {
    "/": () => $("#text")?.focus(),
    "?": () => $("#help").showModal(),
    ArrowRight: () => go(all[Math.min(here + 1, all.length - 1)]),
    ArrowLeft: () => go(all[Math.max(here - 1, 0)]),
    ArrowDown: here >= 0 && (() => go(below(all, here, 1))),
    ArrowUp: here >= 0 && (() => go(below(all, here, -1))),
    "+": card && (() => mark(card, "yes")),
    "-": card && (() => mark(card, "no")),
    0: card && (() => mark(card, null)),
  };
  const deed = /^[1-9]$/.test(key) ? all.length && (() => go(all[Number(key) - 1])) : deeds[key];
  if (!deed || radio || (key.startsWith("Arrow") && !all.length)) return;
  event.preventDefault();
  deed();
});

// On a narrow screen long parts of a form begin closed; what stands below them is what people came for.
if (innerWidth < 961) for (const part of $$("details[data-wide]")) part.open = Boolean($("input:checked:not([value=\"\"])", part));
counted();
marked();
