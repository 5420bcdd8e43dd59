// One of several values as native radio buttons: arrow keys, labels and focus are the browser's.
import { h } from "vue";

let groups = 0;

export default {
  props: {
    legend: String,
    hint: String,
    note: String,
    options: { type: Array, default: () => [] },
    given: { type: String, default: "" },
    version: { type: Number, default: 0 },
  },
  emits: ["value"],
  data() {
    return { group: `choice-${++groups}`, value: this.given };
  },
  watch: {
    given() {
      this.value = this.given;
    },
    version() {
      this.value = this.given;
    },
  },
  render() {
    const hint = this.hint ? h("p", { class: "hint", id: `${this.group}-hint` }, this.hint) : null;
    const radios = this.options.map(([value, label]) =>
      h("label", { key: value, class: { chip: true, chosen: value === this.value } }, [
        h("input", {
          type: "radio",
          name: this.group,
          value,
          checked: value === this.value,
          onChange: () => {
            this.value = value;
            this.$emit("value", value);
          },
        }),
        h("span", label),
      ]),
    );
    return h("fieldset", { class: "choice", "aria-describedby": hint ? `${this.group}-hint` : undefined }, [
      h("legend", [this.legend, this.note ? h("small", this.note) : null]),
      hint,
      h("div", { class: "chips" }, radios),
    ]);
  },
};
