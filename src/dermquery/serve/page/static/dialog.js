// A native modal dialog, opened and closed by the server.
import { h } from "vue";

export default {
  props: { opened: Boolean },
  emits: ["close"],
  mounted() {
    this.put();
  },
  watch: { opened: "put" },
  methods: {
    put() {
      if (this.opened && !this.$el.open) this.$el.showModal();
      if (!this.opened && this.$el.open) this.$el.close();
    },
  },
  render() {
    return h("dialog", { onClose: () => this.$emit("close") }, this.$slots.default?.());
  },
};
