// What has no element of its own: the address' fragment, the clipboard, the focus.
import { h } from "vue";

const deeds = {
  copy: (fragment) => navigator.clipboard?.writeText(`${location.origin}${location.pathname}#${fragment}`),
  focus: (selector) => document.querySelector(selector)?.focus(),
  show: (selector) => {
    const top = document.querySelector(selector)?.getBoundingClientRect().top ?? 0;
    if (top >= 0 && top < innerHeight * 0.6) return; // in view already, beside the form
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    document.querySelector(selector)?.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
  },
};

export default {
  props: { fragment: String, deed: Object },
  emits: ["restore"],
  mounted() {
    // The fragment never reaches the server's log: what a query says stays out of it.
    this.$emit("restore", location.hash.slice(1));
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) !== this.fragment) this.$emit("restore", location.hash.slice(1));
    });
  },
  watch: {
    fragment(text) {
      if (text !== null) history.replaceState(history.state, "", text ? `#${text}` : location.pathname);
    },
    deed(deed) {
      if (deed) this.$nextTick(() => deeds[deed.kind]?.(deed.value));
    },
  },
  render() {
    return h("span", { hidden: true });
  },
};
