// Many cases at once: a table and its images go to the API as one job, which is watched, stopped or undone from here.
import { h } from "vue";

const TABLE = /\.(csv|tsv|parquet|pq)$/i;
const IMAGE = /\.(jpe?g|png|tiff?|bmp|webp|gif|jp2)$/i;
const OVER = ["done", "cancelled", "failed", "undone"];

export default {
  props: { address: String, token: String, texts: Object, most: { type: Number, default: 900 } },
  emits: ["changed"],
  data: () => ({ files: [], problem: "", refused: false, sent: null, job: null }),
  computed: {
    archive() {
      return this.files.find((file) => /\.zip$/i.test(file.name));
    },
    table() {
      return this.files.filter((file) => TABLE.test(file.name));
    },
    images() {
      return this.files.filter((file) => IMAGE.test(file.name));
    },
    working() {
      return this.sent !== null || (this.job && !OVER.includes(this.job.state));
    },
  },
  beforeUnmount() {
    clearTimeout(this.timer);
  },
  methods: {
    take(files) {
      Object.assign(this, { files: [...files], job: null, refused: false, problem: "" });
      if (!this.files.length || this.archive) return;
      if (this.table.length !== 1) this.problem = this.texts.no_table.replace("{n}", this.table.length);
      else if (!this.images.length) this.problem = this.texts.no_images;
      else if (this.images.length > this.most) this.problem = this.texts.too_many.replace("{most}", this.most);
    },
    form(skipBad) {
      const form = new FormData();
      if (this.archive) form.append("archive", this.archive);
      else {
        form.append("table", this.table[0]);
        for (const image of this.images) form.append("images", image, image.name);
      }
      form.append("skip_bad", String(skipBad));
      return form;
    },
    send(skipBad) {
      Object.assign(this, { sent: 0, problem: "", refused: false, job: null });
      // Only XMLHttpRequest says how much was sent.
      const request = new XMLHttpRequest();
      request.open("POST", this.address);
      request.setRequestHeader("X-CSRF-Token", this.token);
      request.responseType = "json";
      request.upload.onprogress = (event) => (this.sent = event.total ? event.loaded / event.total : 0);
      request.onerror = () => this.failed(this.texts.lost);
      request.onload = () => {
        this.sent = null;
        if (request.status === 202) this.watch(request.response);
        else {
          this.failed(request.response?.detail ?? `${this.texts.lost} (${request.status})`);
          this.refused = request.status === 422 && !skipBad;
        }
      };
      request.send(this.form(skipBad));
    },
    failed(message) {
      this.sent = null;
      this.problem = message;
    },
    watch(job) {
      this.job = job;
      this.problem = "";
      if (OVER.includes(job.state)) return this.$emit("changed");
      this.timer = setTimeout(() => this.ask(""), 500);
    },
    async ask(what) {
      clearTimeout(this.timer);
      try {
        const headers = { "X-CSRF-Token": this.token };
        const response = await fetch(`${this.address}/${this.job.id}${what}`, { method: what ? "POST" : "GET", headers });
        const answer = await response.json();
        if (response.ok) return this.watch(answer);
        this.problem = answer.detail;
      } catch {
        this.problem = this.texts.lost;
      }
      if (!what) this.timer = setTimeout(() => this.ask(""), 3000);
    },
    button(label, run, cls = "") {
      return h("button", { type: "button", class: `button ${cls}`, onClick: run, key: label }, label);
    },
    pick(label, attributes) {
      const chosen = (event) => {
        this.take(event.target.files);
        event.target.value = "";
      };
      const input = h("input", { type: "file", class: "unseen", disabled: this.working, onChange: chosen, ...attributes });
      return h("label", { class: "button" }, [input, h("span", label)]);
    },
    chosenPart() {
      const t = this.texts;
      if (!this.files.length) return null;
      const ready = !this.problem || this.refused;
      const said = this.archive ? this.archive.name : t.chosen.replace("{table}", this.table[0]?.name ?? "–").replace("{n}", this.images.length);
      return h("div", { class: "row" }, [
        h("span", said),
        ready && !this.working && !this.job ? this.button(t.start, () => this.send(false), "primary") : null,
        this.refused ? this.button(t.skip, () => this.send(true)) : null,
      ]);
    },
    bar(value, label) {
      return h("div", { class: "progress" }, [h("progress", { value, max: 1, "aria-label": label }), h("span", { role: "status" }, label)]);
    },
    jobPart() {
      const t = this.texts;
      const job = this.job;
      if (this.sent !== null) return this.bar(this.sent, t.sending.replace("{percent}", Math.round(100 * this.sent)));
      if (!job) return null;
      const parts = [this.bar(job.total ? job.done / job.total : 1, `${t[job.state]}: ${t.progress.replace("{done}", job.done).replace("{total}", job.total)}`)];
      const counts = t.counts.replace("{added}", job.added).replace("{updated}", job.updated).replace("{unchanged}", job.unchanged).replace("{bad}", job.n_bad);
      parts.push(h("p", { role: "status" }, job.state === "undone" ? t.removed.replace("{n}", job.removed) : counts));
      if (job.repeated) parts.push(h("p", { class: "hint" }, t.repeated.replace("{n}", job.repeated).replace("{pairs}", job.repeats.slice(0, 5).map((one) => `${one.case_id} (${one.same_image_as})`).join(", "))));
      if (job.message) parts.push(h("p", { class: "hint" }, job.message));
      if (job.bad.length) parts.push(h("ul", { class: "bad-cases" }, job.bad.slice(0, 50).map((bad) => h("li", [h("code", bad.case_id), ` ${bad.reason}`]))));
      if (["queued", "running"].includes(job.state)) parts.push(this.button(t.cancel, () => this.ask("/cancel")));
      else if (["done", "cancelled", "failed"].includes(job.state) && job.added) parts.push(this.button(t.undo, () => this.ask("/undo")));
      return h("div", { class: "job" }, parts);
    },
  },
  render() {
    const t = this.texts;
    const dropped = (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (!this.working) this.take(event.dataTransfer.files);
    };
    return h("div", { class: "bundle", "data-own-drop": "" }, [
      h("div", { class: "drop", onDragover: (event) => event.preventDefault(), onDrop: dropped }, [
        h("div", { class: "row" }, [this.pick(t.folder, { webkitdirectory: true }), this.pick(t.files, { multiple: true, id: "bundle-input" })]),
      ]),
      this.chosenPart(),
      this.problem ? h("p", { class: "problem", role: "alert" }, this.problem) : null,
      this.jobPart(),
    ]);
  },
};
