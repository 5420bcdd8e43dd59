// Cases as points on a plane, coloured by diagnosis. Drawn on a canvas: five thousand elements would be slow.
import { h } from "vue";

const RADIUS = 4;

export default {
  props: { address: String, texts: Object, diagnoses: { type: Array, default: () => [] } }, // {name, title, light, dark}
  emits: ["chosen"],
  data: () => ({ points: null, hidden: new Set(), here: null, failed: false, explained: [0, 0], count: 0 }),
  async mounted() {
    this.redraw = () => this.draw();
    this.watcher = new MutationObserver(this.redraw);
    this.watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.sizes = new ResizeObserver(this.redraw);
    try {
      const response = await fetch(this.address);
      if (!response.ok) throw new Error(response.status);
      const made = await response.json();
      Object.assign(this, { points: made.points, explained: made.explained, count: made.count });
      await this.$nextTick();
      this.sizes.observe(this.$refs.canvas);
    } catch {
      this.failed = true;
    }
  },
  beforeUnmount() {
    this.watcher.disconnect();
    this.sizes.disconnect();
  },
  computed: {
    bounds() {
      const xs = this.points.map((point) => point.x);
      const ys = this.points.map((point) => point.y);
      const low = [Math.min(...xs), Math.min(...ys)];
      const span = Math.max(Math.max(...xs) - low[0], Math.max(...ys) - low[1]) || 1;
      const middle = [(Math.max(...xs) + low[0]) / 2, (Math.max(...ys) + low[1]) / 2];
      return { span, middle };
    },
    trained() {
      return this.points.filter((point) => point.trained_on).length;
    },
    shown() {
      return this.points.filter((point) => !this.hidden.has(point.diagnosis));
    },
  },
  methods: {
    place(point, width, height) {
      const { span, middle } = this.bounds;
      const scale = (Math.min(width, height) - 6 * RADIUS) / span;
      return [width / 2 + (point.x - middle[0]) * scale, height / 2 - (point.y - middle[1]) * scale];
    },
    draw() {
      const canvas = this.$refs.canvas;
      if (!canvas) return;
      const ratio = devicePixelRatio || 1;
      const { clientWidth: width, clientHeight: height } = canvas;
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      const style = getComputedStyle(canvas);
      const tone = style.colorScheme.includes("dark") ? "dark" : "light";
      const colours = new Map(this.diagnoses.map((entry) => [entry.name, entry[tone]]));
      pen.globalAlpha = this.points.length > 1500 ? 0.55 : 0.8;
      for (const point of this.shown) {
        pen.fillStyle = pen.strokeStyle = colours.get(point.diagnosis) ?? style.color;
        pen.beginPath();
        pen.arc(...this.place(point, width, height), RADIUS, 0, 2 * Math.PI);
        if (point.trained_on) pen.stroke();
        else pen.fill();
      }
      if (this.here && !this.hidden.has(this.here.diagnosis)) {
        pen.globalAlpha = 1;
        pen.lineWidth = 2.5;
        pen.strokeStyle = style.color;
        pen.beginPath();
        pen.arc(...this.place(this.here, width, height), RADIUS + 4, 0, 2 * Math.PI);
        pen.stroke();
      }
    },
    choose(point) {
      this.here = point;
      this.draw();
      this.$emit("chosen", point?.case_id ?? null);
    },
    clicked(event) {
      const frame = event.target.getBoundingClientRect();
      let [best, least] = [null, 15];
      for (const point of this.shown) {
        const [x, y] = this.place(point, frame.width, frame.height);
        const apart = Math.hypot(x - (event.clientX - frame.left), y - (event.clientY - frame.top));
        if (apart < least) [best, least] = [point, apart];
      }
      if (best) this.choose(best);
    },
    key(event) {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!by || !this.shown.length) return;
      event.preventDefault();
      event.stopPropagation();
      const n = this.shown.length;
      this.choose(this.shown[(this.shown.indexOf(this.here) + by + n) % n]);
    },
    toggle(name) {
      if (!this.hidden.delete(name)) this.hidden.add(name);
      this.hidden = new Set(this.hidden);
      this.$nextTick(this.draw);
    },
  },
  render() {
    const t = this.texts;
    if (this.failed) return h("p", { class: "problem" }, t.failed);
    if (!this.points) return h("p", { class: "hint", role: "status" }, t.loading);
    const legend = this.diagnoses.map((entry) =>
      h(
        "button",
        {
          type: "button",
          class: "button small toned",
          style: { "--tone-light": entry.light, "--tone-dark": entry.dark },
          "aria-pressed": undefined,
          "aria-label": `${entry.title}: ${this.hidden.has(entry.name) ? t.off : t.on}`,
          onClick: () => this.toggle(entry.name),
        },
        [h("span", { class: "swatch", "aria-hidden": "true" }), h("span", { class: { struck: this.hidden.has(entry.name) } }, entry.title)],
      ),
    );
    const said = t.sample.replace("{n}", this.points.length).replace("{total}", this.count);
    const known = this.points.some((point) => point.trained_on !== null);
    const trained = known ? t.trained.replace("{n}", this.trained) : t.untold;
    const held = Math.round(100 * (this.explained[0] + this.explained[1]));
    return h("div", { class: "map" }, [
      h("div", { class: "row" }, legend),
      h("canvas", {
        ref: "canvas",
        tabindex: 0,
        role: "img",
        "aria-label": t.label.replace("{n}", this.points.length),
        onClick: this.clicked,
        onKeydown: this.key,
      }),
      h("p", { class: "hint" }, `${said} · ${t.held.replace("{percent}", held)} · ${trained}`),
    ]);
  },
};
