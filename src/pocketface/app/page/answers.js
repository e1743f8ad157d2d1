// From a model's numbers to answers, and how far two levels' answers are apart.
// An answer: `{head, task, kind, ...}`; of a number `value`, `unit` and `error`; of classes the most probable `label`,
// and `probabilities`, a pair per label. Two models that answer one task answer the same question.
const AGES = [0, 120];

export function answersOf(variant, outputs) {
  return Object.entries(variant.outputs).map(([head, { kind, unit, labels }]) => {
    const values = outputs[head];
    if (!values?.every(Number.isFinite)) throw new Error(`${nameOf(variant)}: no answer for ${head}`);
    const told = { head, task: taskOf(head, labels), kind };
    if (kind === "number") {
      const value = head === "age" ? Math.min(Math.max(values[0], AGES[0]), AGES[1]) : values[0];
      const error = head === "age" ? variant.age_errors?.findLast(([from]) => from <= value)?.[1] : undefined;
      return { ...told, value, unit: unit ?? "", error };
    }
    const best = values.indexOf(Math.max(...values));
    return { ...told, label: labels[best], probabilities: labels.map((label, i) => [label, values[i]]) };
  });
}

export const nameOf = ({ model, level }) => `${words(model)} ${level}`;

export const words = (name) => name.replaceAll("_", " ");

/** The question behind a head: CelebA's `No_Beard` asks for a beard, `Male` for what `gender` does. */
export function taskOf(head, labels = []) {
  const asked = labels.includes("yes") ? /^(no|wearing) / : /^wearing /;
  return head === "Male" ? "gender" : words(head).toLowerCase().replace(asked, "");
}

/** A label in words, turned round where its head asks whether something is missing. */
export function labelOf(head, label) {
  if (head === "Male") return label === "yes" ? "male" : "female";
  if (head.startsWith("No_") && ["yes", "no"].includes(label)) return label === "yes" ? "no" : "yes";
  return label;
}

/** What a level changes, as a sentence: in the unit, or the largest change of a probability. */
export function changeOf(answer, float32) {
  if (answer.kind === "number") {
    const by = answer.value - float32.value;
    return `${by < 0 ? "−" : "+"}${Math.abs(by).toFixed(2)} ${answer.unit} to float32`;
  }
  if (answer.label !== float32.label) return `float32 says ${said(float32)}`;
  const changes = answer.probabilities.map(([, value], i) => Math.abs(value - float32.probabilities[i][1]));
  return `at most ${(100 * Math.max(...changes)).toFixed(1)} points to float32`;
}

/** An answer in words: `34 ± 5 years`, `happy 80 %`. */
export function said(answer) {
  if (answer.kind === "classes") return `${labelOf(answer.head, answer.label)} ${percent(probability(answer))}`;
  const error = answer.error ? ` ± ${answer.error.toFixed(0)}` : "";
  return `${answer.value.toFixed(0)}${error} ${answer.unit}`;
}

/** As few words as tell it: `34`, `happy`, `hat`; none for what a face has not. */
export function brief({ kind, head, task, value, label, probabilities }) {
  if (kind === "number") return value.toFixed(0);
  const told = labelOf(head, label);
  if (!probabilities.some(([other]) => other === "yes") || head === "Male") return told;
  return told === "yes" ? task : "";
}

/** Task -> `{answer, opinion}` of every model that answers it; the first is the answer, others second opinions. */
export function byTask(opinions) {
  const all = opinions.flatMap((opinion) => opinion.answers.map((answer) => ({ answer, opinion })));
  return Map.groupBy(all, ({ answer }) => answer.task);
}

/** The answers to each task, one a task. */
export const answersTo = (opinions) => [...byTask(opinions).values()].map(([{ answer }]) => answer);

const probability = ({ probabilities }) => Math.max(...probabilities.map(([, value]) => value));

export const percent = (share) => `${(100 * share).toFixed(0)}\u00a0%`;
