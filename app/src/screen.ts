// What is drawn: boxes over the picture, a card per face, the choice of levels, the table of levels.
import { difference, percent, probability, short, type Answer } from "./answers";
import type { Analysis, Face, Opinion } from "./analyse";
import { address, type Variant } from "./bundle";
import { rgba, type Pixels } from "./pixels";

export const byId = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;

/** An element with properties and children. */
function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function drawPicture(canvas: HTMLCanvasElement, pixels: Pixels): void {
  [canvas.width, canvas.height] = [pixels.width, pixels.height];
  canvas.getContext("2d")!.putImageData(rgba(pixels), 0, 0);
}

/** Boxes over the picture; each is a button that leads to its face's card. */
export function drawBoxes(within: HTMLElement, faces: Face[], { width, height }: Pixels, mirrored: boolean): void {
  const share = (value: number, of: number): string => `${(100 * value) / of}%`;
  within.replaceChildren(
    ...faces.map(({ box, opinions }, i) => {
      const left = mirrored ? width - box[2] : box[0];
      const said = opinions.flatMap(({ answers }) => answers.slice(0, 3).map(short));
      const button = make("button", { type: "button", className: "box" }, make("span", {}, said.join("\n")));
      button.setAttribute("aria-label", `Face ${i + 1}: ${said.join(", ")}`);
      button.style.left = share(left, width);
      button.style.top = share(box[1], height);
      button.style.width = share(box[2] - box[0], width);
      button.style.height = share(box[3] - box[1], height);
      button.classList.toggle("low", box[1] < height - box[3]);
      button.classList.toggle("right", left + box[2] - box[0] > 0.7 * width);
      button.dataset.box = JSON.stringify(box);
      button.addEventListener("click", () => byId(`face-${i}`)?.focus());
      return button;
    }),
  );
}

export function drawFaces(within: HTMLElement, { faces }: Analysis): void {
  within.replaceChildren(
    ...faces.map((face, i) => {
      const title = make("h2", {}, faces.length > 1 ? `Face ${i + 1}` : "The face");
      const card = make("article", { id: `face-${i}`, tabIndex: -1 }, title, ...face.opinions.map(opinionOf));
      return card;
    }),
  );
}

function opinionOf(opinion: Opinion): HTMLElement {
  const { variant, seen, answers, float32, time, fellBack } = opinion;
  const canvas = make("canvas", { className: "seen" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `What ${variant.model} sees, ${seen.width} pixels wide`);
  drawPicture(canvas, seen);
  const facts = [`${variant.model} ${variant.level}`, bytes(variant.size_bytes), milliseconds(time)];
  if (fellBack) facts.push("on the CPU, as the GPU cannot");
  const block = make(
    "section",
    { className: "opinion" },
    canvas,
    make("div", {}, ...answers.slice(0, 3).map((answer, i) => answerOf(answer, float32?.[i])), ...more(answers)),
    make("p", { className: "facts" }, facts.join(" · ")),
  );
  block.dataset.model = variant.model;
  block.dataset.level = variant.level;
  block.dataset.fellBack = String(fellBack);
  return block;
}

function answerOf(answer: Answer, float32?: Answer): HTMLElement {
  const line = make("p", { className: "answer" }, make("span", { className: "head" }, answer.head));
  if (answer.kind === "number") {
    line.append(make("data", { value: String(answer.value) }, `${answer.value.toFixed(1)} ${answer.unit}`));
  } else {
    line.append(make("strong", {}, answer.label), ` ${percent(probability(answer))}`);
  }
  const block = make("div", {}, line);
  block.dataset.head = answer.head;
  if (answer.kind === "classes") block.append(bars(answer.probabilities));
  if (float32) block.append(make("p", { className: "change" }, changeOf(answer, float32)));
  return block;
}

/** What a level changes, as a sentence. */
export function changeOf(answer: Answer, float32: Answer): string {
  const { by, flipped } = difference(answer, float32);
  if (answer.kind === "number") return `${by < 0 ? "−" : "+"}${Math.abs(by).toFixed(2)} ${answer.unit} to float32`;
  if (flipped) return `float32 says ${short(float32)}`;
  return `at most ${(100 * by).toFixed(1)} points to float32`;
}

function bars(probabilities: [string, number][]): HTMLElement {
  const list = make("ul", { className: "bars" });
  for (const [label, value] of probabilities) {
    const bar = make("span", { className: "bar" });
    bar.style.width = `${100 * value}%`;
    const row = make("li", {}, make("span", {}, label), make("span", { className: "track" }, bar), percent(value));
    row.dataset.label = label;
    row.dataset.probability = String(value);
    list.append(row);
  }
  return list;
}

/** Answers beyond the third, such as CelebA's attributes, folded away. */
function more(answers: Answer[]): HTMLElement[] {
  if (answers.length <= 3) return [];
  const said = answers.slice(3).map((answer) => make("li", {}, `${answer.head}: ${short(answer)}`));
  return [make("details", {}, make("summary", {}, `${said.length} more answers`), make("ul", {}, ...said))];
}

/** A select per model; calls back with the chosen variants. */
export function drawChoices(within: HTMLElement, variants: Variant[], first: string[], changed: () => void): () => Variant[] {
  const selects = [...new Set(variants.map(({ model }) => model))].map((model) => {
    const levels = variants.filter((variant) => variant.model === model);
    const select = make("select", { id: `level-${model}`, onchange: changed });
    for (const { level, size_bytes, file, reason } of levels) {
      const text = file ? `${level}, ${bytes(size_bytes)}` : `${level}: ${reason}`;
      select.append(make("option", { value: level, disabled: !file, title: reason ?? "" }, text));
    }
    const wanted = first.find((level) => levels.some((variant) => variant.level === level && variant.file));
    select.value = wanted ?? levels.find(({ file }) => file)?.level ?? "none";
    select.append(make("option", { value: "none" }, "do not ask"));
    within.append(make("p", { className: "row" }, make("label", { htmlFor: select.id }, words(model)), select));
    return { model, select };
  });
  return () =>
    selects.flatMap(({ model, select }) =>
      variants.filter((variant) => variant.model === model && variant.level === select.value && variant.file),
    );
}

/** Makes unchoosable what cannot be used here, and says why. */
export function drawEngines(select: HTMLSelectElement, hindrances: Map<string, string | null>): void {
  for (const option of select.options) {
    const reason = hindrances.get(option.value);
    option.disabled = Boolean(reason);
    if (reason) option.text += `: ${reason}`;
  }
}

/** One line of the table of levels. */
export interface Row {
  variant: Variant;
  /** Milliseconds for one face. */
  median: number;
  fastest: number;
  opinion: Opinion;
}

const COLUMNS = ["level", "size", "ms a face", "says", "change to float32"];

export function drawTable(within: HTMLElement, rows: Row[]): void {
  const table = make("table", {}, make("caption", {}, "On the largest face of this picture"));
  table.append(make("thead", {}, make("tr", {}, ...COLUMNS.map((head) => make("th", { scope: "col" }, head)))));
  for (const model of new Set(rows.map(({ variant }) => variant.model))) {
    const title = make("th", { colSpan: COLUMNS.length, scope: "rowgroup" }, words(model));
    const lines = rows.filter(({ variant }) => variant.model === model).map(lineOf);
    table.append(make("tbody", {}, make("tr", { className: "group" }, title), ...lines));
  }
  const scroller = make("div", { className: "scroll", tabIndex: 0 }, table);
  scroller.setAttribute("role", "region");
  scroller.setAttribute("aria-label", "Table of levels");
  within.replaceChildren(scroller);
}

function lineOf({ variant, median, fastest, opinion }: Row): HTMLElement {
  const answers = opinion.answers.slice(0, 3);
  const change = answers.map((answer, i) => (opinion.float32 ? changeOf(answer, opinion.float32[i]) : ""));
  const line = make(
    "tr",
    {},
    make("th", { scope: "row" }, make("a", { href: address(variant.card!), title: "its card" }, variant.level)),
    make("td", {}, bytes(variant.size_bytes)),
    make("td", { className: "number" }, median.toFixed(2) + (opinion.fellBack ? " (CPU)" : "")),
    make("td", {}, answers.map(short).join(", ")),
    make("td", {}, change.filter(Boolean).join("; ").replaceAll(" to float32", "").replaceAll("at most", "≤")),
  );
  line.dataset.variant = `${variant.model}/${variant.level}`;
  line.dataset.median = String(median);
  line.dataset.fastest = String(fastest);
  return line;
}

const words = (name: string): string => name.replaceAll("_", " ");

const bytes = (count: number | null): string => (count === null ? "" : `${(count / 1000).toFixed(0)} kB`);

const milliseconds = (time: number): string => `${time.toFixed(1)} ms`;
