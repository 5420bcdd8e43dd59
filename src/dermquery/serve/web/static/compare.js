// Query and cases side by side: zooming or moving one does the same to the others; overlays show where a part comes from.
import { rule } from "./ruler.js";

const dialog = document.getElementById("compare");
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

if (dialog) {
  // Scale and place are those of a frame of side 1, so that they mean the same in every pane.
  let [scale, x, y] = [1, 0, 0];
  const fingers = new Map();
  const $$ = (selector) => [...dialog.querySelectorAll(selector)];

  function put() {
    x = clamp(x, 1 - scale, 0);
    y = clamp(y, 1 - scale, 0);
    for (const layers of $$(".layers")) layers.style.transform = `translate(${100 * x}%, ${100 * y}%) scale(${scale})`;
    const shown = dialog.querySelector(".zoom");
    if (shown) shown.textContent = `${Math.round(100 * scale)} %`;
    rule();
  }
  function zoom(by, px = 0.5, py = 0.5) {
    const next = clamp(scale * by, 1, 12);
    x = px - (px - x) * (next / scale);
    y = py - (py - y) * (next / scale);
    scale = next;
    put();
  }
  function move(dx, dy) {
    x += dx;
    y += dy;
    put();
  }
  function whole() {
    [scale, x, y] = [1, 0, 0];
    put();
  }
  function place(event, view) {
    const frame = view.getBoundingClientRect();
    return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
  }

  dialog.addEventListener("wheel", (event) => {
    const view = event.target.closest(".view");
    if (!view) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * 0.0015), ...place(event, view));
  }, { passive: false });
  dialog.addEventListener("pointerdown", (event) => {
    const view = event.target.closest(".view");
    if (!view) return;
    view.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, place(event, view));
  });
  dialog.addEventListener("pointermove", (event) => {
    const view = event.target.closest(".view");
    if (!view || !fingers.has(event.pointerId)) return;
    const now = place(event, view);
    const before = fingers.get(event.pointerId);
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    const reach = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 0.01;
    if (other) zoom(reach(now) / reach(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    else move(now[0] - before[0], now[1] - before[1]);
    fingers.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel"]) dialog.addEventListener(name, (event) => fingers.delete(event.pointerId));
  dialog.addEventListener("dblclick", (event) => event.target.closest(".view") && whole());
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input")) return;
    const step = 0.08;
    const deeds = {
      "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: whole,
      ArrowLeft: () => move(step, 0), ArrowRight: () => move(-step, 0), ArrowUp: () => move(0, step), ArrowDown: () => move(0, -step),
      PageUp: () => dialog.querySelector("#compare-previous")?.click(), PageDown: () => dialog.querySelector("#compare-next")?.click(),
    };
    if (!deeds[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    deeds[event.key]();
  });
  dialog.addEventListener("click", (event) => {
    const tool = event.target.closest("[data-zoom]")?.dataset.zoom;
    if (tool) ({ in: () => zoom(1.25), out: () => zoom(0.8), whole })[tool]();
    if (event.target === dialog) dialog.close();
  });

  // The chosen overlay stays from hit to hit.
  let level = "";
  function overlay() {
    const pictures = $$(".overlay");
    const state = dialog.querySelector(".overlay-state");
    let waiting = level ? pictures.length : 0;
    const said = (failed) => {
      waiting = Math.max(0, waiting - 1);
      state.textContent = failed ? state.dataset.failed : waiting ? state.dataset.loading : "";
    };
    if (state) state.textContent = waiting ? state.dataset.loading : "";
    for (const picture of pictures) {
      picture.hidden = !level;
      picture.onload = () => said(false);
      picture.onerror = () => said(true);
      if (level) picture.src = `${picture.dataset.src}${level === "all" ? "" : `&level=${encodeURIComponent(level)}`}`;
      else picture.removeAttribute("src");
    }
    const legend = dialog.querySelector(".overlay-legend");
    if (legend) legend.hidden = !level;
    for (const radio of $$("input[name=level]")) radio.checked = radio.value === level;
  }
  dialog.addEventListener("change", (event) => {
    if (event.target.name !== "level") return;
    level = event.target.value;
    overlay();
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target !== dialog || !dialog.firstElementChild) return;
    if (!dialog.open) dialog.showModal();
    if (!dialog.querySelector(".view")) return;
    whole();
    overlay();
    dialog.querySelector("[autofocus]")?.focus();
  });
  dialog.addEventListener("close", () => {
    const address = new URL(location.href);
    const rank = dialog.querySelector("[data-rank]")?.dataset.rank;
    address.searchParams.delete("compare");
    address.searchParams.delete("beside");
    history.pushState({ htmx: true }, "", address);
    dialog.replaceChildren();
    document.querySelector(`#hit-${rank} .open`)?.focus();
  });
}
