// Query and case side by side; zooming or moving one does the same to the other.
import { h } from "vue";

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export default {
  props: {
    panes: { type: Array, default: () => [] }, // {name, title, src, alt, overlay, none}
    texts: Object,
  },
  data: () => ({ scale: 1, x: 0, y: 0, waiting: 0, gone: false }),
  computed: {
    overlays() {
      return this.panes.map((pane) => pane.overlay ?? "").join(" ");
    },
    images() {
      return this.panes.map((pane) => pane.src ?? "").join(" ");
    },
  },
  watch: {
    overlays() {
      this.waiting = this.panes.filter((pane) => pane.overlay).length;
      this.gone = false;
    },
    images() {
      this.whole();
    },
  },
  methods: {
    // Scale and place are those of a frame of side 1, so that they mean the same in both panes.
    zoom(by, px = 0.5, py = 0.5) {
      const scale = clamp(this.scale * by, 1, 12);
      const ratio = scale / this.scale;
      this.x = px - (px - this.x) * ratio;
      this.y = py - (py - this.y) * ratio;
      this.scale = scale;
      this.keepInside();
    },
    move(dx, dy) {
      this.x += dx;
      this.y += dy;
      this.keepInside();
    },
    whole() {
      Object.assign(this, { scale: 1, x: 0, y: 0 });
    },
    keepInside() {
      this.x = clamp(this.x, 1 - this.scale, 0);
      this.y = clamp(this.y, 1 - this.scale, 0);
    },
    place(event) {
      const frame = event.currentTarget.getBoundingClientRect();
      return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height, frame];
    },
    wheel(event) {
      event.preventDefault();
      const [x, y] = this.place(event);
      this.zoom(Math.exp(-event.deltaY * 0.0015), x, y);
    },
    key(event) {
      const step = 0.08;
      const deeds = {
        "+": () => this.zoom(1.25),
        "=": () => this.zoom(1.25),
        "-": () => this.zoom(0.8),
        0: this.whole,
        ArrowLeft: () => this.move(step, 0),
        ArrowRight: () => this.move(-step, 0),
        ArrowUp: () => this.move(0, step),
        ArrowDown: () => this.move(0, -step),
      };
      if (!deeds[event.key] || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      deeds[event.key]();
    },
    down(event) {
      const pane = event.currentTarget;
      pane.setPointerCapture(event.pointerId);
      this.fingers ??= new Map();
      this.fingers.set(event.pointerId, this.place(event));
    },
    drag(event) {
      if (!this.fingers?.has(event.pointerId)) return;
      const now = this.place(event);
      const before = this.fingers.get(event.pointerId);
      const other = [...this.fingers.entries()].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const reach = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 0.01;
        this.zoom(reach(now) / reach(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      } else this.move(now[0] - before[0], now[1] - before[1]);
      this.fingers.set(event.pointerId, now);
    },
    up(event) {
      this.fingers?.delete(event.pointerId);
    },
    arrived(failed) {
      this.waiting = Math.max(0, this.waiting - 1);
      if (failed) this.gone = true;
    },
    pane(pane) {
      const style = { transform: `translate(${100 * this.x}%, ${100 * this.y}%) scale(${this.scale})` };
      const layers = [h("img", { src: pane.src, alt: pane.alt, draggable: false })];
      if (pane.overlay) {
        const events = { onLoad: () => this.arrived(false), onError: () => this.arrived(true) };
        layers.push(h("img", { class: "overlay", key: pane.overlay, src: pane.overlay, alt: "", draggable: false, ...events }));
      }
      const view = pane.src
        ? h(
            "div",
            {
              class: "view",
              tabindex: 0,
              role: "group",
              "aria-label": this.texts.pane.replace("{name}", pane.title),
              "aria-describedby": "zoom-hint",
              onWheel: this.wheel,
              onKeydown: this.key,
              onPointerdown: this.down,
              onPointermove: this.drag,
              onPointerup: this.up,
              onPointercancel: this.up,
              onDblclick: this.whole,
            },
            [h("div", { class: "layers", style }, layers)],
          )
        : h("div", { class: "view none" }, [h("p", pane.none)]);
      return h("figure", { class: "pane", key: pane.name }, [h("figcaption", pane.title), view]);
    },
    tool(label, text, run) {
      return h("button", { type: "button", class: "button small square", "aria-label": label, title: label, onClick: run }, text);
    },
  },
  render() {
    const t = this.texts;
    const state = this.gone ? t.failed : this.waiting ? t.loading : "";
    return h("div", { class: "pair" }, [
      h("div", { class: "panes" }, this.panes.map(this.pane)),
      h("div", { class: "tools" }, [
        this.tool(t.out, "−", () => this.zoom(0.8)),
        h("span", { class: "zoom" }, `${Math.round(100 * this.scale)} %`),
        this.tool(t.in, "+", () => this.zoom(1.25)),
        h("button", { type: "button", class: "button small", onClick: this.whole }, t.whole),
        h("span", { role: "status", class: "hint" }, state),
        this.$slots.default?.(),
      ]),
      h("p", { class: "hint", id: "zoom-hint" }, t.hint),
    ]);
  },
};
