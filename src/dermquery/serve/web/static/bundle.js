// Many cases at once: a table and its images go to the API as one job, which is watched, stopped or undone from here.
const TABLE = /\.(csv|tsv|parquet|pq)$/i;
const IMAGE = /\.(jpe?g|png|tiff?|bmp|webp|gif|jp2|hei[cf])$/i;
const OVER = ["done", "cancelled", "failed", "undone"];
const MOST = 900;
const root = document.getElementById("bundle");

if (root) {
  const t = JSON.parse(root.dataset.texts);
  const { address } = root.dataset;
  const token = document.body.dataset.csrf;
  const part = (name) => root.querySelector(`[data-part=${name}]`);
  const button = (name) => root.querySelector(`[data-do=${name}]`);
  const bar = root.querySelector("progress");
  let [files, job, refused, sending, timer] = [[], null, false, false, null];
  const archive = () => files.find((file) => /\.zip$/i.test(file.name));
  const among = (kind) => files.filter((file) => kind.test(file.name));
  const working = () => sending || (job && !OVER.includes(job.state));

  function problem(words = "") {
    part("problem").hidden = !words;
    part("problem").textContent = words;
  }

  function show() {
    const ready = files.length && (part("problem").hidden || refused) && !working() && !job;
    part("chosen").textContent = !files.length ? "" : (archive()?.name ?? t.chosen.replace("{table}", among(TABLE)[0]?.name ?? "–").replace("{n}", among(IMAGE).length));
    button("start").hidden = !ready;
    button("skip").hidden = !(refused && ready);
    for (const input of root.querySelectorAll("input[type=file]")) input.disabled = working();
    part("job").hidden = !sending && !job;
    button("cancel").hidden = !["queued", "running"].includes(job?.state);
    button("undo").hidden = !(["done", "cancelled", "failed"].includes(job?.state) && job.added);
    if (!job) return;
    bar.value = job.total ? job.done / job.total : 1;
    part("state").textContent = `${t[job.state]}: ${t.progress.replace("{done}", job.done).replace("{total}", job.total)}`;
    const counts = t.counts.replace("{added}", job.added).replace("{updated}", job.updated).replace("{unchanged}", job.unchanged).replace("{bad}", job.n_bad);
    part("counts").textContent = job.state === "undone" ? t.removed.replace("{n}", job.removed) : counts;
    const pairs = job.repeats.slice(0, 5).map((one) => `${one.case_id} (${one.same_image_as})`).join(", ");
    const repeated = job.repeated ? t.repeated.replace("{n}", job.repeated).replace("{pairs}", pairs) : "";
    const against = Object.entries(job.contradictions).map(([name, n]) => `${name}: ${n} (${job.contradicting[name].join("; ")})`).join("; ");
    const contradicted = against ? t.contradicted.replace("{fields}", against) : "";
    const columns = Object.entries(job.left_out).map(([name, why]) => `${name} (${why})`).join(", ");
    const left = columns ? t.left_out.replace("{columns}", columns) : "";
    part("message").textContent = [left, ...job.notes, repeated, contradicted, job.message].filter(Boolean).join(" ");
    part("bad").replaceChildren(...job.bad.slice(0, 50).map((bad) => Object.assign(document.createElement("li"), { textContent: `${bad.case_id} ${bad.reason}` })));
  }

  function take(chosen) {
    [files, job, refused] = [[...chosen], null, false];
    problem();
    if (files.length && !archive()) {
      if (among(TABLE).length !== 1) problem(t.no_table.replace("{n}", among(TABLE).length));
      else if (!among(IMAGE).length) problem(t.no_images);
      else if (among(IMAGE).length > MOST) problem(t.too_many.replace("{most}", MOST));
    }
    show();
  }

  function send(skipBad) {
    const form = new FormData();
    if (archive()) form.append("archive", archive());
    else {
      form.append("table", among(TABLE)[0]);
      for (const image of among(IMAGE)) form.append("images", image, image.name);
    }
    form.append("skip_bad", String(skipBad));
    [sending, refused] = [true, false];
    problem();
    const request = new XMLHttpRequest(); // only it says how much was sent
    request.open("POST", address);
    request.setRequestHeader("X-CSRF-Token", token);
    request.responseType = "json";
    request.upload.onprogress = (event) => {
      bar.value = event.total ? event.loaded / event.total : 0;
      part("state").textContent = t.sending.replace("{percent}", Math.round(100 * bar.value));
    };
    request.onerror = () => ended(t.lost);
    request.onload = () => {
      if (request.status === 202) return watch(request.response);
      refused = request.status === 422 && !skipBad;
      const said = (request.response?.detail ?? `${t.lost} (${request.status})`).replace(/[;,.]? [^;.]*skip_bad=true[^;.]*\.?/, ".");
      ended(refused ? `${said} ${t.skip_hint}` : said);
    };
    request.send(form);
    show();
  }

  function ended(words) {
    sending = false;
    problem(words);
    show();
  }

  function watch(next) {
    [sending, job] = [false, next];
    show();
    if (!OVER.includes(job.state)) timer = setTimeout(() => ask(""), 500);
  }

  async function ask(what) {
    clearTimeout(timer);
    try {
      const answer = await fetch(`${address}/${job.id}${what}`, { method: what ? "POST" : "GET", headers: { "X-CSRF-Token": token } });
      const said = await answer.json();
      if (answer.ok) return watch(said);
      problem(said.detail);
    } catch {
      problem(t.lost);
    }
    if (!what) timer = setTimeout(() => ask(""), 3000);
  }

  root.addEventListener("change", (event) => {
    take(event.target.files);
    event.target.value = "";
  });
  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!working()) take(event.dataTransfer.files);
  });
  const deeds = { start: () => send(false), skip: () => send(true), cancel: () => ask("/cancel"), undo: () => ask("/undo") };
  root.addEventListener("click", (event) => deeds[event.target.closest("[data-do]")?.dataset.do]?.());
}
