// The query's image: dropped, pasted, chosen or photographed; turned and cropped. It travels by HTTP, not by the
// socket, and the server does the turning and cropping from the numbers that are said here.
import { h } from "vue";

const STEP = 0.02;
const LEAST = 0.05;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export default {
  props: {
    texts: Object,
    upload: String, // where images are sent
    token: String,
    limit: Number, // bytes
    shown: String, // address of the image, if there is one
    turn: { type: Number, default: 0 },
    crop: Array, // left, top, width, height as fractions
    edit: { type: Number, default: 0 }, // the last change made here that the server knows
    fixed: Boolean, // an image that cannot be edited here
  },
  emits: ["uploaded", "refused", "edited", "removed"],
  data() {
    const showCamera = matchMedia("(pointer: coarse)").matches;
    return { busy: false, over: false, box: this.crop, quarters: this.turn, edits: this.edit, showCamera };
  },
  watch: {
    crop: "follow",
    turn: "follow",
    edit: "follow",
  },
  mounted() {
    // Anywhere on the page: people drop beside the target, and a paste has none.
    this.listeners = { dragover: this.dragged, dragleave: this.left, drop: this.dropped, paste: this.pasted };
    for (const [name, listener] of Object.entries(this.listeners)) document.addEventListener(name, listener);
  },
  beforeUnmount() {
    for (const [name, listener] of Object.entries(this.listeners)) document.removeEventListener(name, listener);
  },
  methods: {
    dragged(event) {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      this.over = true;
    },
    left(event) {
      if (!event.relatedTarget) this.over = false;
    },
    dropped(event) {
      this.over = false;
      const file = event.dataTransfer?.files[0];
      if (!file || event.target.closest?.("[data-own-drop]")) return;
      event.preventDefault();
      this.send(file);
    },
    pasted(event) {
      const file = [...(event.clipboardData?.files ?? [])][0];
      if (file) {
        event.preventDefault();
        this.send(file);
      }
    },
    chosen(event) {
      const file = event.target.files[0];
      event.target.value = ""; // so that the same file can be chosen again
      if (file) this.send(file);
    },
    async send(file) {
      const megabytes = (bytes) => (bytes / 2 ** 20).toFixed(1);
      if (file.size > this.limit) {
        const text = this.texts.too_large.replace("{size}", megabytes(file.size));
        return this.$emit("refused", text.replace("{limit}", megabytes(this.limit)));
      }
      this.busy = true;
      try {
        const headers = { "X-CSRF-Token": this.token ?? "", "Content-Type": "application/octet-stream" };
        const response = await fetch(this.upload, { method: "POST", headers, body: file });
        const answer = await response.json().catch(() => ({}));
        this.settle(); // else a change of the last image would be said of this one
        if (response.ok) this.$emit("uploaded", answer);
        else this.$emit("refused", answer.detail ?? this.texts.refused.replace("{status}", response.status));
      } catch {
        this.$emit("refused", this.texts.failed);
      } finally {
        this.busy = false;
      }
    },
    follow() {
      // An answer to an older change comes while newer ones are made here; it must not undo them.
      if (this.edit !== this.edits) return;
      this.box = this.crop;
      this.quarters = this.turn;
    },
    change(box, quarters = this.quarters) {
      this.box = box;
      this.quarters = quarters;
      this.edits += 1;
    },
    say() {
      clearTimeout(this.timer);
      this.timer = null;
      this.$emit("edited", { turn: this.quarters, crop: this.box ? [...this.box] : null, edit: this.edits });
    },
    settle() {
      if (this.timer) this.say();
    },
    turned(by) {
      const [x, y, w, d] = this.box ?? [];
      const along = by > 0 ? [1 - y - d, x, d, w] : [y, 1 - x - w, d, w]; // the chosen part turns too
      this.change(this.box ? along : null, (this.quarters + by + 4) % 4);
      this.say();
    },
    toggleCrop() {
      this.change(this.box ? null : [0.1, 0.1, 0.8, 0.8]);
      this.say();
      if (this.box) this.$nextTick(() => this.$refs.box?.focus());
    },
    move(dx, dy) {
      const [x, y, w, d] = this.box;
      this.change([clamp(x + dx, 0, 1 - w), clamp(y + dy, 0, 1 - d), w, d]);
    },
    resize(dx, dy) {
      const [x, y, w, d] = this.box;
      this.change([x, y, clamp(w + dx, LEAST, 1 - x), clamp(d + dy, LEAST, 1 - y)]);
    },
    key(event) {
      const by = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      (event.shiftKey ? this.resize : this.move)(...by);
      clearTimeout(this.timer);
      this.timer = setTimeout(this.say, 200);
    },
    grab(event, change) {
      event.preventDefault();
      event.stopPropagation();
      const frame = this.$refs.stage.getBoundingClientRect();
      let last = [event.clientX, event.clientY];
      const target = event.currentTarget;
      target.setPointerCapture(event.pointerId);
      const moving = (next) => {
        change((next.clientX - last[0]) / frame.width, (next.clientY - last[1]) / frame.height);
        last = [next.clientX, next.clientY];
      };
      const released = () => {
        target.removeEventListener("pointermove", moving);
        this.say();
      };
      target.addEventListener("pointermove", moving);
      target.addEventListener("pointerup", released, { once: true });
    },
    pick(label, cls, attributes = {}) {
      const input = h("input", { type: "file", accept: "image/*", class: "unseen", onChange: this.chosen, ...attributes });
      return h("label", { class: `button ${cls}` }, [input, h("span", label)]);
    },
    tool(label, run, pressed) {
      return h("button", { type: "button", class: "button small", onClick: run, "aria-pressed": pressed }, label);
    },
    cropBox() {
      const [x, y, w, d] = this.box.map((part) => `${(100 * part).toFixed(2)}%`);
      const handle = h("span", {
        class: "handle",
        title: this.texts.handle,
        onPointerdown: (event) => this.grab(event, this.resize),
      });
      return h(
        "div",
        {
          ref: "box",
          class: "crop",
          tabindex: 0,
          role: "group",
          "aria-label": this.texts.box,
          style: { left: x, top: y, width: w, height: d },
          onKeydown: this.key,
          onBlur: this.settle, // whoever goes on to the button searches for what they see
          onPointerdown: (event) => this.grab(event, this.move),
        },
        [handle],
      );
    },
  },
  render() {
    const t = this.texts;
    const children = [];
    if (this.busy) children.push(h("div", { class: "drop", role: "status" }, [h("p", t.loading)]));
    else if (this.shown) {
      const image = h("img", { src: this.shown, alt: t.alt, draggable: false });
      children.push(
        h("div", { class: "well" }, [
          h("div", { class: "stage", ref: "stage" }, [image, this.box && !this.fixed ? this.cropBox() : null]),
        ]),
      );
      if (!this.fixed)
        children.push(
          h("div", { class: "tools" }, [
            this.tool(t.left, () => this.turned(-1)),
            this.tool(t.right, () => this.turned(1)),
            this.tool(this.box ? t.whole : t.crop, this.toggleCrop, Boolean(this.box)),
            this.pick(t.other, "small"),
            this.tool(t.remove, () => this.$emit("removed")),
          ]),
        );
    } else
      children.push(
        h("div", { class: "drop" }, [
          h("p", t.drop),
          h("div", { class: "row" }, [
            this.pick(t.choose, "", { id: "image-input" }),
            this.showCamera ? this.pick(t.camera, "", { capture: "environment" }) : null,
          ]),
          h("p", { class: "hint" }, t.formats),
        ]),
      );
    return h("div", { class: { image: true, over: this.over }, role: "group", "aria-label": t.name }, children);
  },
};
