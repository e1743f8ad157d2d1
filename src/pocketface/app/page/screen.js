// What is drawn: numbered boxes over the picture, a card per face, the choice of levels, the table of levels.
import { answersTo, brief, byTask, changeOf, labelOf, nameOf, percent, said, words } from "./answers.js";
import { address } from "./bundle.js";
import { rgba } from "./pixels.js";

const FIRST_LEVELS = ["int8", "float32"];

export const byId = (id) => document.getElementById(id);

/** An element with properties and children. */
function make(tag, { data = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  Object.assign(element.dataset, data);
  element.append(...children);
  return element;
}

export function drawPicture(canvas, pixels) {
  [canvas.width, canvas.height] = [pixels.width, pixels.height];
  canvas.getContext("2d").putImageData(rgba(pixels), 0, 0);
}

const told = (answers) => answers.map(brief).filter(Boolean);

/** A face's answers, one a task; numbers with their error. */
const inWords = (opinions) =>
  answersTo(opinions).map((answer) => (answer.kind === "number" ? said(answer) : brief(answer))).filter(Boolean);

/** Words of a label in the picture, at most. */
const LABEL = 3;

/** Numbered boxes over the picture; each is a button that opens its face's card. Those that are there are moved: the
 *  camera draws many times a second, and a button that is replaced loses its focus and the click that has begun. */
export function drawBoxes(within, faces, { width, height }, mirrored) {
  const share = (value, of) => `${(100 * value) / of}%`;
  while (within.children.length > faces.length) within.lastChild.remove();
  faces.forEach(({ box, opinions }, i) => {
    const left = mirrored ? width - box[2] : box[0];
    const words = told(answersTo(opinions)).slice(0, LABEL);
    const button = within.children[i] ?? within.appendChild(boxOf(i));
    button.dataset.box = JSON.stringify(box);
    button.lastChild.words = words;
    button.setAttribute("aria-label", `Face ${i + 1}: ${words.join(", ")}`);
    Object.assign(button.style, {
      left: share(left, width),
      top: share(box[1], height),
      width: share(box[2] - box[0], width),
      height: share(box[3] - box[1], height),
    });
    button.classList.toggle("low", box[1] < height - box[3]);
    button.classList.toggle("right", left + box[2] - box[0] > 0.7 * width);
  });
  keepApart(within);
  resized.observe(within);
}

function boxOf(i) {
  const parts = [make("span", { className: "number" }, String(i + 1)), make("span", { className: "label" })];
  const button = make("button", { type: "button", className: "box" }, ...parts);
  button.addEventListener("click", () => {
    const card = byId(`face-${i}`);
    card.open = true;
    card.firstChild.focus();
  });
  return button;
}

const resized = new ResizeObserver(([{ target }]) => keepApart(target));

/** Gives each label as many words as fit: over no other label or face, and within the picture; the number stays. */
function keepApart(within) {
  const [boxes, frame] = [[...within.children], within.parentElement.getBoundingClientRect()];
  const taken = boxes.map((box) => box.getBoundingClientRect());
  boxes.forEach((box, i) => {
    const label = box.querySelector(".label");
    label.hidden = false;
    for (let count = label.words.length; count > 0; count--) {
      label.textContent = label.words.slice(0, count).join(" · ");
      const place = label.getBoundingClientRect();
      if (inside(place, frame) && !taken.some((other, k) => k !== i && overlapping(place, other))) {
        taken.push(place);
        return;
      }
    }
    label.hidden = true;
  });
}

const inside = (place, frame) =>
  place.left >= frame.left && place.right <= frame.right && place.top >= frame.top && place.bottom <= frame.bottom;

const overlapping = (one, other) =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

/** A card per face: one line, and when opened every answer and every model; what was open stays so. */
export function drawFaces(within, { faces }) {
  const open = new Set([...within.querySelectorAll("details[open]")].map(({ id }) => id));
  const focused = within.contains(document.activeElement) && document.activeElement.closest("details")?.id;
  within.replaceChildren(
    ...faces.map(({ opinions }, i) => {
      const [first, ...rest] = inWords(opinions);
      const summary = make(
        "summary",
        {},
        make("span", { className: "number" }, String(i + 1)),
        make("strong", {}, first ?? "no model was asked"),
        make("span", {}, rest.join(" · ")),
      );
      const id = `face-${i}`;
      return make(
        "details",
        { id, className: "face", open: open.has(id) },
        summary,
        make("dl", {}, ...[...byTask(opinions)].flatMap(taskOf)),
        ...opinions.map(opinionOf),
      );
    }),
  );
  if (focused) byId(focused)?.firstChild.focus({ preventScroll: true });
}

/** The answer to a task, and what other models say. */
function taskOf([task, [{ answer }, ...others]]) {
  const block = make("dd", {}, said(answer));
  if (answer.error) block.append(make("small", {}, " (± the model's mean error)"));
  for (const other of others) {
    const whose = `${nameOf(other.opinion.variant)}, ${other.opinion.variant.from}`;
    block.append(make("small", { className: "second" }, `second opinion: ${said(other.answer)} (${whose})`));
  }
  return [make("dt", {}, task), block];
}

function opinionOf({ variant, seen, answers, float32, time, fellBack }) {
  const canvas = make("canvas", { className: "seen" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `What ${words(variant.model)} sees, ${seen.width} pixels wide`);
  drawPicture(canvas, seen);
  const facts = [nameOf(variant), variant.from, bytes(variant.size_bytes), `${time.toFixed(1)} ms`];
  if (fellBack) facts.push("on the CPU, as the GPU cannot");
  return make(
    "section",
    {
      className: "opinion",
      data: { model: variant.model, from: variant.from, level: variant.level, fellBack: String(fellBack) },
    },
    canvas,
    make("div", {}, ...answers.map((answer, i) => answerOf(answer, float32?.[i]))),
    make("p", { className: "facts" }, facts.join(" · ")),
  );
}

function answerOf(answer, float32) {
  const block = make("div", { data: { head: answer.head } });
  if (answer.kind === "number") {
    const text = `${answer.task} ${answer.value.toFixed(1)} ${answer.unit}`;
    block.append(make("data", { value: String(answer.value) }, text));
  } else {
    block.append(barsOf(answer));
  }
  if (float32) block.append(make("p", { className: "change" }, changeOf(answer, float32)));
  return block;
}

/** A bar a label; of a question with yes and no, one for yes. */
function barsOf({ head, task, probabilities }) {
  const list = make("ul", { className: "bars" });
  const asked = probabilities.some(([label]) => labelOf(head, label) === "yes");
  for (const [label, value] of probabilities) {
    const words = labelOf(head, label);
    const bar = make("span", { className: "bar" });
    bar.style.width = `${100 * value}%`;
    const text = asked ? `${task}: ${words}` : words;
    const row = make("li", { data: { label, probability: String(value) }, hidden: asked && words === "no" });
    row.append(make("span", {}, text), make("span", { className: "track" }, bar), percent(value));
    list.append(row);
  }
  return list;
}

/** A select per model; calls back with the chosen variants. At first a model is asked if it answers something new. */
export function drawChoices(within, variants, changed) {
  const answered = new Set();
  const selects = [...Map.groupBy(variants, ({ model, from }) => `${from}-${model}`)].map(([key, levels]) => {
    const [{ model, from, outputs }] = levels;
    const select = make("select", { id: `level-${key}`, onchange: changed });
    for (const { level, size_bytes, file, reason, take } of levels) {
      const text = file ? `${level}, ${bytes(size_bytes)}${take ? ", take this" : ""}` : `${level}: ${reason}`;
      select.append(make("option", { value: level, disabled: !file, title: reason ?? "" }, text));
    }
    select.append(make("option", { value: "none" }, "do not ask"));
    const usable = levels.filter(({ file }) => file).map(({ level }) => level);
    const fresh = usable.length && Object.keys(outputs).some((head) => !answered.has(head));
    const wanted = [levels.find(({ take }) => take)?.level, ...FIRST_LEVELS];
    const first = wanted.find((level) => usable.includes(level)) ?? usable[0];
    select.value = fresh ? first : "none";
    if (fresh) Object.keys(outputs).forEach((head) => answered.add(head));
    const label = make("label", { htmlFor: select.id }, words(model), make("small", {}, ` (${from})`));
    within.append(make("p", { className: "row" }, label, select));
    return { levels, select };
  });
  return () =>
    selects.flatMap(({ levels, select }) => levels.filter(({ level, file }) => level === select.value && file));
}

/** Makes unchoosable what cannot be used here, and says why. */
export function drawEngines(select, hindrances) {
  for (const option of select.options) {
    const reason = hindrances.get(option.value);
    option.disabled = Boolean(reason);
    if (reason) option.text += `: ${reason}`;
  }
}

const COLUMNS = ["level", "ms a face", "says, and the change to float32"];

/** The table of levels: `rows` of a variant, its opinion, and the `median` and `fastest` milliseconds for one face. */
export function drawTable(within, rows) {
  const table = make("table", {}, make("caption", {}, "On the largest face of this picture"));
  table.append(make("thead", {}, make("tr", {}, ...COLUMNS.map((head) => make("th", { scope: "col" }, head)))));
  for (const [, group] of Map.groupBy(rows, ({ variant }) => `${variant.from}-${variant.model}`)) {
    const [{ variant }] = group;
    const title = `${words(variant.model)} (${variant.from})`;
    const heading = make("th", { colSpan: COLUMNS.length, scope: "rowgroup" }, title);
    table.append(make("tbody", {}, make("tr", { className: "group" }, heading), ...group.map(lineOf)));
  }
  within.replaceChildren(table);
}

function lineOf({ variant, median, fastest, opinion: { answers, float32, fellBack } }) {
  const change = answers.slice(0, 3).map((answer, i) => (float32 ? changeOf(answer, float32[i]) : ""));
  const changes = change.filter(Boolean).join("; ").replaceAll(" to float32", "").replaceAll("at most", "≤");
  return make(
    "tr",
    { data: { variant: `${variant.from}/${variant.model}/${variant.level}`, median, fastest } },
    make(
      "th",
      { scope: "row" },
      make("a", { href: address(variant.card), title: "its card" }, words(variant.level)),
      make("small", {}, bytes(variant.size_bytes)),
    ),
    make("td", { className: "count" }, median.toFixed(2) + (fellBack ? " (CPU)" : "")),
    make("td", {}, told(answers).join(", "), make("small", {}, changes)),
  );
}

const bytes = (count) => (count === null ? "" : `${(count / 1000).toFixed(0)} kB`);

const LINE = 1 / 22;
/** The picture with numbered boxes, and below it a line a face: nothing lies over a face. */
export function saved(canvas, faces) {
  const line = Math.max(Math.round(canvas.width * LINE), 14);
  const result = make("canvas", { width: canvas.width, height: canvas.height + Math.round(1.4 * line * faces.length) });
  const context = result.getContext("2d");
  context.fillStyle = "#101418";
  context.fillRect(0, 0, result.width, result.height);
  context.drawImage(canvas, 0, 0);
  Object.assign(context, { font: `${line * 0.8}px sans-serif`, strokeStyle: "#ffd60a", lineWidth: line / 10 });
  faces.forEach(({ box: [left, top, right, bottom], opinions }, i) => {
    context.strokeRect(left, top, right - left, bottom - top);
    context.fillStyle = "#ffd60a";
    context.fillText(i + 1, left + line * 0.2, top - line * 0.2 > line ? top - line * 0.2 : top + line * 0.8);
    context.fillStyle = "#fff";
    context.fillText(`${i + 1}  ${inWords(opinions).join(" · ")}`, line * 0.4, canvas.height + line * (1.4 * i + 1), result.width - line);
  });
  return new Promise((done) => result.toBlob(done, "image/png"));
}
