// The page: from a dropped photograph to its RAW on the screen. What is computed lies in look.js, gl.js and canvas.js.

import { canvasRenderer } from "./canvas.js";
import { glRenderer } from "./gl.js";
import { drawHistogram } from "./histogram.js";
import { Refused, fetchView, follow, remove, status, submit } from "./jobs.js";
import { REST, greyAt } from "./look.js";
import { Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);
const SLIDERS = {
  exposure: { label: "Exposure", most: 4, step: 0.05, say: (v) => `${v.toFixed(2)} EV` },
  highlights: { label: "Highlights", most: 1, step: 0.01, say: (v) => (v * 100).toFixed(0) },
  warmth: { label: "Warmth", most: 2, step: 0.02, say: (v) => (v * 50).toFixed(0) },
  tint: { label: "Tint", most: 1, step: 0.01, say: (v) => (v * 100).toFixed(0) },
};
const STEPS = { decode: "Reading the photograph", rebuild: "Rebuilding the RAW" };

let limits = { bytes: Infinity, view: 2048 };
let current = null; // {file, id, result, view, renderer}
let stop = new AbortController();
let look = { ...REST };

const stage = new Stage($("stage"), $("sheet"), $("divider"), [$("tag-jpeg"), $("tag-raw")], { changed: redraw, picked: pickGrey });

/* What is drawn */

let scheduled = false;
function redraw() {
  if (scheduled || !current?.renderer) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    if (!current?.renderer) return;
    const split = { compare: stage.split, jpeg: 1, raw: 0 }[document.body.dataset.mode];
    current.renderer.draw(look, split, $("overlay").checked);
    document.body.dataset.drawn = JSON.stringify({ ...look, split, overlay: $("overlay").checked });
  });
}

let histogramAt = 0;
function redrawHistogram() {
  clearTimeout(histogramAt);
  histogramAt = setTimeout(() => {
    if (!current?.view) return;
    const white = drawHistogram($("histogram"), current.view, look);
    for (const side of ["raw", "jpeg"]) $(`clipped-${side}`).textContent = `${(white[side] * 100).toFixed(1)} % white`;
  }, 30);
}

function setLook(changes) {
  look = { ...look, ...changes };
  for (const [name, { say, most }] of Object.entries(SLIDERS)) {
    look[name] = Math.max(-most, Math.min(most, look[name]));
    $(name).value = look[name];
    const output = $(`${name}-value`);
    output.textContent = (look[name] > 0 ? "+" : "") + say(look[name]).replace("-", "−");
    output.classList.toggle("set", look[name] !== 0);
  }
  redraw();
  redrawHistogram();
}

function setMode(mode) {
  document.body.dataset.mode = mode;
  document.querySelector(`[name=mode][value=${mode}]`).checked = true;
  redraw();
}

function setPicking(picking) {
  stage.picking = picking;
  $("grey").setAttribute("aria-pressed", picking);
  $("stage").classList.toggle("picking", picking);
}

function pickGrey(x, y) {
  const found = greyAt(current.view, x, y);
  setPicking(false);
  if (found) setLook(found);
}

/* From a file to its RAW */

function setState(state) {
  document.body.dataset.state = state;
  stage.fit();
}

function progress(step, part) {
  $("step").textContent = step;
  $("percent").textContent = part ? `${Math.round(part * 100)} %` : "";
  $("bar").style.width = `${Math.round((part ?? 0) * 100)}%`;
  $("bar").parentElement.setAttribute("aria-valuenow", Math.round((part ?? 0) * 100));
}

function tellJob(job) {
  if (job.state === "waiting") progress(job.position ? `Waiting, ${job.position} before you` : "Your turn", 0);
  else if (job.state === "running") progress(STEPS[job.step] ?? "Starting", job.step === "rebuild" ? job.done : 0);
}

async function open(file) {
  close();
  $("refusal").hidden = true;
  if (file.size > limits.bytes) return refuse(`${file.name} is larger than ${limits.bytes >> 20} MB`);
  const mine = (stop = new AbortController());
  const job = (current = { file });
  $("file").textContent = file.name;
  showPhoto(file);
  setState("busy");
  try {
    const options = { camera: $("camera").value, hint: $("hint").checked, view: viewSide() };
    const tellUpload = (part) => (part === null ? progress("The server is busy; waiting", 0) : progress("Sending", part));
    progress("Sending", 0);
    const accepted = await submit(file, options, tellUpload, mine.signal);
    job.id = accepted.id;
    job.result = await follow(accepted, tellJob, mine.signal);
    progress("Fetching the picture", 1);
    job.view = await fetchView(job.id, job.result, mine.signal);
    show(job);
  } catch (error) {
    if (mine.signal.aborted) return;
    close();
    refuse(error instanceof Refused ? `${file.name}: ${error.message}` : `${error}`);
  }
}

// Phones are sent less: their screens show no more.
const viewSide = () => Math.min(limits.view, Math.max(1024, Math.ceil(Math.max(screen.width, screen.height) * devicePixelRatio)));

function refuse(line) {
  $("refusal").textContent = line;
  $("refusal").hidden = false;
  setState("start");
}

function close() {
  stop.abort();
  if (current?.id) remove(current.id);
  current = null;
  setPicking(false);
}

function showPhoto(file) {
  const photo = $("photo");
  URL.revokeObjectURL(photo.src);
  photo.hidden = false;
  photo.onload = () => current?.file === file && !current.view && stage.show(photo.naturalWidth, photo.naturalHeight);
  photo.onerror = () => (photo.hidden = true); // a TIFF, which browsers do not show
  photo.src = URL.createObjectURL(file);
}

function show(job) {
  const { result, view } = job;
  const canvas = $("canvas").cloneNode(); // a canvas keeps to its first kind of context
  $("canvas").replaceWith(canvas);
  [canvas.width, canvas.height] = [view.width, view.height];
  const plain = new URLSearchParams(location.search).get("renderer") === "canvas";
  job.renderer = (plain ? null : glRenderer(canvas, view)) ?? canvasRenderer(canvas, view);
  document.body.dataset.renderer = job.renderer.name;
  setState("done");
  stage.show(view.width, view.height);
  stage.setSplit(0.5);
  setMode("compare");
  setLook(REST);
  const stem = job.file.name.replace(/\.[^.]*$/, "") || "photo";
  for (const kind of ["dng", "tiff"]) {
    $(kind).href = `/api/jobs/${job.id}/${kind}`;
    $(kind).download = `${stem}.${kind}`;
    $(kind).querySelector("small").textContent = `${(result.bytes[kind] / 1e6).toFixed(1)} MB`;
  }
  facts(result);
}

function facts(result) {
  const rows = {
    Sensor: result.camera,
    "": result.camera_reason,
    Size: `${result.width} × ${result.height}`,
    "Response to white": result.neutral.map((v) => v.toFixed(3)).join(" : "),
    Light: result.hint ? "from the photo's EXIF" : "inferred",
    "Mean reliability": result.reliability.toFixed(2),
    Time: `${(result.seconds.decode + result.seconds.rebuild).toFixed(1)} s`,
  };
  const row = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  $("facts").replaceChildren(
    ...Object.entries(rows).map(([name, value]) => {
      const line = document.createElement("div");
      line.append(row("dt", name), row("dd", value));
      return line;
    }),
  );
  $("notes").replaceChildren(...result.notes.map((note) => row("li", note)));
}

/* What the user touches */

for (const [name, { label, most, step }] of Object.entries(SLIDERS)) {
  const line = document.createElement("label");
  line.className = "slider";
  line.htmlFor = name; // not the output, which a label would name first
  const input = Object.assign(document.createElement("input"), { type: "range", id: name, min: -most, max: most, step, value: 0 });
  const output = Object.assign(document.createElement("output"), { id: `${name}-value`, title: "Back to zero" });
  input.addEventListener("input", () => setLook({ [name]: Number(input.value) }));
  input.addEventListener("dblclick", () => setLook({ [name]: 0 }));
  output.addEventListener("click", (event) => (event.preventDefault(), setLook({ [name]: 0 })));
  line.append(Object.assign(document.createElement("span"), { textContent: label }), output, input);
  $("sliders").append(line);
}

const reset = () => (setLook(REST), stage.show(stage.width, stage.height));
const choose = () => $("choose").click();
const actions = {
  1: () => setMode("compare"), 2: () => setMode("jpeg"), 3: () => setMode("raw"),
  r: () => $("overlay").click(), g: () => setPicking(!stage.picking), 0: reset,
  "+": () => stage.closer(1.5), "=": () => stage.closer(1.5), "-": () => stage.closer(1 / 1.5),
  d: () => $("dng").click(), t: () => $("tiff").click(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open || event.target.tagName === "SELECT") return;
  const key = event.key.toLowerCase();
  if (key === "?") $("help").showModal();
  else if (key === "o") choose();
  else if (key === "escape") setPicking(false);
  else if (key in actions && document.body.dataset.state === "done") actions[key]();
});

$("choose").addEventListener("change", () => {
  const [file] = $("choose").files;
  $("choose").value = "";
  if (file) open(file);
});
$("sample").addEventListener("click", async () => {
  const response = await fetch("/sample.jpg");
  open(new File([await response.blob()], "coffee.jpg", { type: "image/jpeg" }));
});
$("new").addEventListener("click", choose);
$("cancel").addEventListener("click", () => (close(), setState("start")));
$("rebuild").addEventListener("click", () => current && open(current.file));
$("help-button").addEventListener("click", () => $("help").showModal());
$("reset").addEventListener("click", reset);
$("grey").addEventListener("click", () => setPicking(!stage.picking));
$("overlay").addEventListener("change", () => {
  $("legend").hidden = !$("overlay").checked;
  if ($("overlay").checked && document.body.dataset.mode === "jpeg") setMode("compare"); // it lies over the RAW
  redraw();
});
for (const radio of document.querySelectorAll("[name=mode]")) radio.addEventListener("change", () => setMode(radio.value));

for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => (event.preventDefault(), document.body.classList.add("dragging")));
}
addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dragging"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  const [file] = event.dataTransfer.files;
  if (file) open(file);
});
addEventListener("paste", (event) => event.clipboardData.files[0] && open(event.clipboardData.files[0]));
addEventListener("pagehide", () => current?.id && remove(current.id));

document.body.dataset.mode = "compare";
setLook(REST);
status()
  .then((told) => {
    limits = told.limits;
    $("limits").textContent = `JPEG, PNG or TIFF, up to ${Math.round(limits.pixels / 1e6)} megapixels`;
    $("camera").append(...told.cameras.map((name) => Object.assign(document.createElement("option"), { value: name, textContent: name })));
  })
  .catch((error) => refuse(`${error.message ?? error}`));
