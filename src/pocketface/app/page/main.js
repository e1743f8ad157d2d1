// The page: pictures come in by file, drop or camera; levels and engines are switched; answers are drawn.
import { nameOf } from "./answers.js";
import { Analyst, MOST_RUNS } from "./analyse.js";
import { keep, loadBundle } from "./bundle.js";
import { Camera } from "./camera.js";
import { frameOf, loadPicture, LARGEST, Trouble } from "./picture.js";
import { blank } from "./pixels.js";
import { hindrances, start } from "./runtime.js";
import { byId, drawBoxes, drawChoices, drawEngines, drawFaces, drawPicture, drawTable, saved } from "./screen.js";

const FIRST_ENGINE = "cpu";
const CARDS_EVERY = 400; // milliseconds, while the camera runs
const WITH_A_PICTURE = ["compare", "save", "share"];
const canvas = byId("picture");
const video = byId("video");
const engines = byId("engine");
const camera = new Camera(video);
let bundle;
let analyst;
let chosen;
let shown = null;

/** What was asked last; what was asked before does not draw any more. */
let asked = 0;
let queue = Promise.resolve();

/** One thing at a time: LiteRT runs one model after the other. Troubles become sentences. */
function inTurn(work) {
  const mine = ++asked;
  const done = queue
    .then(() => (mine === asked ? work(mine) : undefined))
    .catch((error) => {
      if (!(error instanceof Trouble)) console.error(error);
      say(
        error instanceof Trouble
          ? error.message
          : "Something went wrong here. Reload the page and try again.",
        "trouble",
      );
    });
  queue = done;
  return done;
}

function say(text, kind = "") {
  const status = byId("status");
  status.textContent = text;
  status.className = kind;
}

// Pictures
function showFile(file) {
  stopCamera();
  return inTurn(async () => {
    clear();
    say("Reading the picture …", "busy");
    const { pixels, original } = await loadPicture(file);
    const reduced = Math.max(...original) > LARGEST;
    const note = reduced
      ? ` The picture has ${original.join(" × ")} pixels; it was searched at ${pixels.width} × ${pixels.height}.`
      : "";
    await look(pixels, note);
  });
}

async function look(pixels, note) {
  shown = { pixels, note };
  drawPicture(canvas, pixels);
  stage("picture");
  await analyseShown();
}

async function analyseShown() {
  if (!shown) return;
  say("Looking for faces …", "busy");
  await painted();
  const analysis = await analyst.analyse(shown.pixels, chosen());
  shown.analysis = analysis;
  drawBoxes(byId("boxes"), analysis.faces, shown.pixels, false);
  drawFaces(byId("faces"), analysis);
  for (const id of WITH_A_PICTURE) byId(id).disabled = !analysis.faces.length;
  say(found(analysis) + shown.note);
}

function found({ faces, finding, total }) {
  if (!faces.length)
    return "No face was found. A face that looks towards the camera, well lit and not too small, is found best.";
  const count = faces.length === 1 ? "One face" : `${faces.length} faces`;
  return `${count}, found in ${finding.toFixed(0)} ms; ${total.toFixed(0)} ms with all answers.`;
}

function clear() {
  shown = null;
  for (const id of ["boxes", "faces", "table"]) byId(id).replaceChildren();
  for (const id of WITH_A_PICTURE) byId(id).disabled = true;
  stage("empty");
}

/** What the stage shows. */
function stage(what) {
  const live = what === "camera";
  byId("frame").hidden = what === "empty";
  byId("empty").hidden = what !== "empty";
  canvas.hidden = live;
  video.hidden = !live;
  for (const id of ["shoot", "turn", "stop"]) byId(id).hidden = !live;
  byId("camera").hidden = live;
}

const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

async function showSample() {
  const answer = await fetch("sample.jpg");
  await showFile(new File([await answer.blob()], "sample.jpg", { type: "image/jpeg" }));
}

const answered = async () => {
  const picture = await saved(canvas, shown.analysis.faces);
  return new File([picture], "pocketface.png", { type: picture.type });
};

async function save() {
  const file = await answered();
  const href = URL.createObjectURL(file);
  Object.assign(document.createElement("a"), { href, download: file.name }).click();
  URL.revokeObjectURL(href);
}

async function share() {
  const files = [await answered()];
  // A person who closes the menu again has not met an error.
  await navigator.share({ files }).catch((error) => error.name !== "AbortError" && console.warn(error));
}

// Camera
function useCamera(begin) {
  return inTurn(async (mine) => {
    clear();
    say("Starting the camera …", "busy");
    await begin();
    if (mine !== asked) return camera.stop(); // a picture was chosen while the camera was asked for
    stage("camera");
    void watch(mine);
  });
}

async function watch(mine) {
  let drawn = 0;
  let count = -1;
  let analysing = false;
  const again = async () => {
    if (!camera.on || mine !== asked) return;
    if (!analysing && video.videoWidth) {
      analysing = true;
      const pixels = frameOf(video);
      const frame = async () => {
        const analysis = await analyst.analyse(pixels, chosen());
        if (!camera.on || mine !== asked) return;
        const mirrored = camera.facing === "user";
        video.classList.toggle("mirrored", mirrored);
        drawBoxes(byId("boxes"), analysis.faces, pixels, mirrored);
        if (performance.now() - drawn < CARDS_EVERY) return;
        drawn = performance.now();
        drawFaces(byId("faces"), analysis);
        // Said once, not at every frame, to whoever listens to the page.
        if (analysis.faces.length !== count) say(found(analysis));
        count = analysis.faces.length;
      };
      queue = queue.then(frame).catch((error) => {
        console.error(error);
        say("The camera's picture could not be analysed. Reload the page and try again.", "trouble");
      });
      await queue;
      analysing = false;
    }
    requestAnimationFrame(() => void again());
  };
  await again();
}

function takePicture() {
  const pixels = frameOf(video, LARGEST);
  stopCamera();
  return inTurn(() => look(pixels, ""));
}

function stopCamera() {
  asked++;
  camera.stop();
}

// Models
async function useEngine(engine) {
  say("Loading the runtime …", "busy");
  analyst.forget();
  await start(engine);
  await analyst.analyse(blank(64, 64, 3), chosen()); // the first run of a model is slower
  engines.value = engine;
  say("Ready. Choose a picture, or use the camera.");
}

/** Another engine; one that does not start leaves the plain one. */
async function changeEngine(engine) {
  try {
    await useEngine(engine);
  } catch (error) {
    if (engine === FIRST_ENGINE) throw error;
    console.warn(error);
    await useEngine(FIRST_ENGINE);
    throw new Trouble("That did not start here; one thread of the CPU computes instead.");
  } finally {
    if (camera.on) void watch(asked);
  }
}

function compareLevels() {
  return inTurn(async (mine) => {
    const face = shown?.analysis?.faces[0];
    if (!face) return;
    const rows = [];
    for (const variant of bundle.variants.filter(({ file }) => file)) {
      say(`Timing ${nameOf(variant)} …`, "busy");
      await painted();
      const opinion = await analyst.ask(variant, shown.pixels, face.place);
      rows.push({ variant, opinion, ...(await analyst.time(variant, opinion.seen)) });
      drawTable(byId("table"), rows);
      if (mine !== asked) return;
    }
    say(
      `${rows.length} variants compared; the time is the median of up to ${MOST_RUNS} runs, ${engines.selectedOptions[0].text}.`,
    );
  });
}

// Start
function listen() {
  const file = byId("file");
  file.addEventListener("change", () => {
    if (file.files?.length) void showFile(file.files[0]);
    file.value = "";
  });
  const target = byId("stage");
  target.addEventListener("dragover", (event) => {
    event.preventDefault();
    target.classList.add("over");
  });
  target.addEventListener("dragleave", () => target.classList.remove("over"));
  target.addEventListener("drop", (event) => {
    event.preventDefault();
    target.classList.remove("over");
    const dropped = event.dataTransfer?.files[0];
    if (dropped) void showFile(dropped);
  });
  byId("camera").addEventListener("click", () => void useCamera(() => camera.start()));
  byId("turn").addEventListener("click", () => void useCamera(() => camera.turn()));
  byId("shoot").addEventListener("click", () => void takePicture());
  byId("stop").addEventListener("click", () => {
    stopCamera();
    clear();
    say("Ready.");
  });
  engines.addEventListener("change", () => {
    void inTurn(async () => {
      await changeEngine(engines.value);
      if (!camera.on) await analyseShown();
    });
  });
  byId("compare").addEventListener("click", () => void compareLevels());
  byId("sample").addEventListener("click", () => void showSample());
  byId("save").addEventListener("click", () => void save());
  byId("share").addEventListener("click", () => void share());
  byId("share").hidden = !navigator.canShare?.({ files: [new File([""], "a.png", { type: "image/png" })] });
}

/** The browser says when it can install the page; until then there is no button. */
let installing = null;
window.addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  installing = event;
  byId("install").hidden = false;
});
byId("install").addEventListener("click", () => void installing.prompt());
window.addEventListener("appinstalled", () => (byId("install").hidden = true));

/** The service worker first: what is loaded after it is there the next time without a network. */
async function install() {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register("sw.js");
    await navigator.serviceWorker.ready;
    if (!navigator.serviceWorker.controller) {
      await new Promise((taken) =>
        navigator.serviceWorker.addEventListener("controllerchange", taken, { once: true }),
      );
    }
  } catch (error) {
    console.warn("No service worker: the page will need a network each time.", error);
  }
}
void inTurn(async () => {
  await install();
  bundle = await loadBundle().catch(() => {
    throw new Trouble("There are no models here. Start `pocketface app` again and reload.");
  });
  analyst = new Analyst(bundle);
  const terms = new Set(bundle.variants.map(({ dataset, licence }) => `${dataset}: ${licence}`));
  byId("terms").textContent = `The models' terms are their data's. ${[...terms].join(". ")}.`;
  chosen = drawChoices(byId("choices"), bundle.variants, () => {
    if (!camera.on) void inTurn(() => analyseShown()); // the camera's next frame asks the new ones anyway
  });
  listen();
  drawEngines(engines, await hindrances());
  await useEngine(FIRST_ENGINE);
  document.documentElement.dataset.ready = "";
  void keep(bundle).then(() => (document.documentElement.dataset.kept = ""));
});
