// Cases as points on a plane, coloured by diagnosis. Drawn on a canvas: five thousand elements would be slow.
const RADIUS = 4;
const map = document.getElementById("map");

if (map) {
  const canvas = map.querySelector("canvas");
  const note = map.querySelector("[role=status]");
  const legend = [...map.querySelectorAll("[data-diagnosis]")].map((button) => ({ button, name: JSON.parse(button.dataset.diagnosis) }));
  const hidden = new Set();
  let [points, here, low, span] = [[], null, [0, 0], 1];

  const shown = () => points.filter((point) => !hidden.has(point.diagnosis));
  const place = (point, width, height) => {
    const scale = (Math.min(width, height) - 6 * RADIUS) / span;
    return [width / 2 + (point.x - low[0]) * scale, height / 2 - (point.y - low[1]) * scale];
  };

  function draw() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(canvas);
    const tone = style.colorScheme.includes("dark") ? "dark" : "light";
    const colours = new Map(legend.map(({ button, name }) => [name, button.dataset[tone]]));
    pen.globalAlpha = points.length > 1500 ? 0.55 : 0.85;
    for (const point of shown()) {
      pen.fillStyle = pen.strokeStyle = colours.get(point.diagnosis) ?? style.color;
      pen.beginPath();
      pen.arc(...place(point, width, height), RADIUS, 0, 2 * Math.PI);
      if (point.trained_on) pen.stroke();
      else pen.fill();
    }
    if (!here || hidden.has(here.diagnosis)) return;
    pen.globalAlpha = 1;
    pen.lineWidth = 2.5;
    pen.strokeStyle = style.color;
    pen.beginPath();
    pen.arc(...place(here, width, height), RADIUS + 4, 0, 2 * Math.PI);
    pen.stroke();
  }

  let asked;
  function choose(point) {
    here = point;
    draw();
    clearTimeout(asked); // who holds an arrow key down wants the case at which it stops
    asked = setTimeout(() => window.htmx.ajax("GET", `${map.dataset.case}${encodeURIComponent(point.case_id)}`, "#chosen"), 80);
  }

  canvas.addEventListener("click", (event) => {
    const frame = canvas.getBoundingClientRect();
    let [best, least] = [null, 15];
    for (const point of shown()) {
      const [x, y] = place(point, frame.width, frame.height);
      const apart = Math.hypot(x - (event.clientX - frame.left), y - (event.clientY - frame.top));
      if (apart < least) [best, least] = [point, apart];
    }
    if (best) choose(best);
  });
  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const all = shown();
    if (!by || !all.length) return;
    event.preventDefault();
    event.stopPropagation();
    choose(all[(all.indexOf(here) + by + all.length) % all.length]);
  });
  for (const { button, name } of legend)
    button.addEventListener("click", () => {
      if (!hidden.delete(name)) hidden.add(name);
      button.setAttribute("aria-pressed", String(hidden.has(name)));
      button.querySelector("span").classList.toggle("struck", hidden.has(name));
      draw();
    });

  try {
    const answer = await fetch(map.dataset.address);
    if (!answer.ok) throw new Error(answer.status);
    const made = await answer.json();
    points = made.points;
    const [xs, ys] = [points.map((point) => point.x), points.map((point) => point.y)];
    const ends = [xs, ys].map((found) => [Math.min(...found), Math.max(...found)]);
    span = Math.max(...ends.map(([a, b]) => b - a)) || 1;
    low = ends.map(([a, b]) => (a + b) / 2);
    const trained = points.filter((point) => point.trained_on).length;
    const known = points.some((point) => point.trained_on !== null);
    const held = Math.round(100 * (made.explained[0] + made.explained[1]));
    note.textContent = [
      map.dataset.sample.replace("{n}", points.length).replace("{total}", made.count),
      map.dataset.held.replace("{percent}", held),
      known ? map.dataset.trained.replace("{n}", trained) : map.dataset.untold,
    ].join(" · ");
    canvas.setAttribute("aria-label", map.dataset.label.replace("{n}", points.length));
    map.dataset.drawn = "true";
    new ResizeObserver(draw).observe(canvas);
    new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  } catch {
    note.className = "problem";
    note.textContent = map.dataset.failed;
  }
}
