// A native form control that says its value to the server. NiceGUI can read one only through eval, which the
// page's policy forbids.
import { h } from "vue";

export default {
  props: {
    kind: { type: String, default: "input" },
    given: { default: "" },
    version: { type: Number, default: 0 },
    options: { type: Array, default: () => [] },
    wait: { type: Number, default: 250 },
  },
  emits: ["value", "submit"],
  mounted() {
    this.put();
  },
  watch: {
    given: "put",
    version: "put",
    options() {
      this.$nextTick(this.put);
    },
  },
  methods: {
    isBox() {
      return this.$el.type === "checkbox";
    },
    put() {
      if (this.isBox()) this.$el.checked = Boolean(this.given);
      else if (this.$el.value !== String(this.given)) this.$el.value = this.given;
      this.said = this.isBox() ? this.$el.checked : this.$el.value;
    },
    say() {
      clearTimeout(this.timer);
      this.timer = null;
      const value = this.isBox() ? this.$el.checked : this.$el.value;
      if (value === this.said) return;
      this.said = value;
      this.$emit("value", value);
    },
    typed() {
      if (this.isBox() || this.kind === "select") return;
      // A slider speaks while it moves, a text when its writer pauses.
      if (this.$el.type === "range") this.timer ??= setTimeout(this.say, this.wait);
      else {
        clearTimeout(this.timer);
        this.timer = setTimeout(this.say, this.wait);
      }
    },
    pressed(event) {
      if (event.key !== "Enter" || event.isComposing || this.kind === "select" || this.isBox()) return;
      if (this.kind === "textarea" && !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      this.say();
      this.$emit("submit");
    },
  },
  render() {
    const children = this.kind === "select" ? this.options.map(([value, label]) => h("option", { value }, label)) : undefined;
    return h(this.kind, { onInput: this.typed, onChange: this.say, onKeydown: this.pressed }, children);
  },
};
