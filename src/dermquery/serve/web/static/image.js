// The query's image: dropped, pasted, chosen or photographed; turned and cropped by numbers that the server applies.
import { number, read } from "./page.js";

const STEP = 0.02;
const LEAST = 0.05;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const field = document.getElementById("image");

if (field) {
  const $ = (selector) => field.querySelector(selector);
  const form = field.closest("form");
  const [well, tools, drop, sending, picture, box, notes] = [".well", ".tools", ".drop", ".sending", ".stage img", ".crop", ".warnings"].map($);
  const value = (name) => form.elements.namedItem(name);
  const said = field.dataset;
  let crop = value("crop").value ? value("crop").value.split(",").map(Number) : null;

  const edited = () => form.dispatchEvent(new CustomEvent("edited"));
  const address = () => `${said.upload}/${value("image").value}/image?turn=${value("turn").value}`;

  function show() {
    const there = Boolean(value("image").value || value("like").value);
    well.hidden = tools.hidden = !there;
    drop.hidden = there;
    sending.hidden = true;
    box.hidden = !crop || Boolean(value("like").value);
    value("crop").value = crop ? crop.map((part) => part.toFixed(4)).join(",") : "";
    const button = tools.querySelector("[data-do=crop]");
    button?.setAttribute("aria-pressed", String(Boolean(crop)));
    if (crop) ["left", "top", "width", "height"].forEach((side, i) => (box.style[side] = `${(100 * crop[i]).toFixed(2)}%`));
  }

  function change(next) {
    crop = next;
    show();
    edited();
  }

  function note(words, kind, links = []) {
    const item = document.createElement("li");
    item.className = kind;
    item.textContent = words;
    for (const { case: name, url } of links) {
      const link = Object.assign(document.createElement("a"), { href: url, textContent: name });
      item.append(" ", link);
    }
    notes.append(item);
  }

  function send(file) {
    notes.replaceChildren();
    const megabytes = (bytes) => number(bytes / 2 ** 20, 1);
    const limit = Number(said.limit);
    if (file.size > limit) return note(said.tooLarge.replace("{size}", megabytes(file.size)).replace("{limit}", megabytes(limit)), "problem");
    well.hidden = tools.hidden = drop.hidden = true;
    sending.hidden = false;
    const progress = sending.querySelector("progress");
    const request = new XMLHttpRequest(); // only it says how much was sent
    request.open("POST", said.upload);
    request.setRequestHeader("X-CSRF-Token", document.body.dataset.csrf);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (event) => (progress.value = event.total ? event.loaded / event.total : 0);
    request.onerror = () => refused(said.failed);
    request.onload = () => (request.status === 200 ? taken(request.response) : refused(request.response?.detail ?? said.refused.replace("{status}", request.status)));
    request.send(file);
  }

  function refused(words) {
    show();
    note(words, "problem");
  }

  function taken(answer) {
    value("image").value = answer.key;
    value("turn").value = 0;
    value("like").value = value("back").value = "";
    crop = null;
    picture.src = address();
    show();
    edited();
    answer.warnings.forEach((words) => note(words, "warning"));
    if (answer.same.length) note(said.known, "note", answer.same);
  }

  // An answer says these itself.
  document.addEventListener("htmx:afterSwap", (event) => event.target.id === "results" && notes.querySelectorAll(".warning").forEach((item) => item.remove()));

  // Anywhere on the page: people drop beside the target, and a paste has none.
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    field.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || field.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    field.classList.remove("over");
    const file = event.dataTransfer?.files[0];
    if (!file || event.target.closest?.("[data-own-drop]")) return;
    event.preventDefault();
    send(file);
  });
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    send(file);
  });
  field.addEventListener("change", (event) => {
    if (event.target.type !== "file") return;
    event.stopPropagation();
    const [file] = event.target.files;
    event.target.value = ""; // so that the same file can be chosen again
    if (file) send(file);
  });

  const deeds = {
    left: () => turned(-1),
    right: () => turned(1),
    crop: () => {
      change(crop ? null : [0.1, 0.1, 0.8, 0.8]);
      if (crop) box.focus();
    },
    remove: () => {
      for (const name of ["image", "like", "back"]) value(name).value = "";
      value("turn").value = 0;
      notes.replaceChildren();
      change(null);
      read();
    },
  };
  tools.addEventListener("click", (event) => deeds[event.target.closest("[data-do]")?.dataset.do]?.());

  function turned(by) {
    const [x, y, w, d] = crop ?? [];
    value("turn").value = (Number(value("turn").value) + by + 4) % 4;
    picture.src = address();
    change(crop && (by > 0 ? [1 - y - d, x, d, w] : [y, 1 - x - w, d, w])); // the chosen part turns too
  }

  const move = (dx, dy) => change([clamp(crop[0] + dx, 0, 1 - crop[2]), clamp(crop[1] + dy, 0, 1 - crop[3]), crop[2], crop[3]]);
  const resize = (dx, dy) => change([crop[0], crop[1], clamp(crop[2] + dx, LEAST, 1 - crop[0]), clamp(crop[3] + dy, LEAST, 1 - crop[1])]);

  box.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    (event.shiftKey ? resize : move)(...by);
  });
  box.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    const deed = event.target.classList.contains("handle") ? resize : move;
    const frame = box.parentElement.getBoundingClientRect();
    let last = [event.clientX, event.clientY];
    box.setPointerCapture(event.pointerId);
    const moving = (next) => {
      deed((next.clientX - last[0]) / frame.width, (next.clientY - last[1]) / frame.height);
      last = [next.clientX, next.clientY];
    };
    box.addEventListener("pointermove", moving);
    box.addEventListener("pointerup", () => box.removeEventListener("pointermove", moving), { once: true });
  });

  document.body.addEventListener("added", () => {
    form.reset();
    deeds.remove();
  });
  show();
}
