// Switches between light and dark, and remembers it in this browser.
import { h } from "vue";

const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

export default {
  props: { label: String },
  data: () => ({ dark: isDark() }),
  methods: {
    toggle() {
      const theme = isDark() ? "light" : "dark";
      document.documentElement.dataset.theme = theme;
      localStorage.setItem("dermquery-theme", theme);
      this.dark = theme === "dark";
    },
  },
  render() {
    const path = h("path", { d: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18" });
    return h("button", { type: "button", class: "button bare", "aria-pressed": this.dark, "aria-label": this.label, title: this.label, onClick: this.toggle }, [
      h("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, [path]),
    ]);
  },
};
