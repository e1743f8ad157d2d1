// From a model's numbers to answers, and how far two levels' answers are apart.
import type { Variant } from "./bundle";

/** `number`: in its unit. Else the most probable label and the probability of every one. */
export type Answer =
  | { head: string; kind: "number"; value: number; unit: string }
  | { head: string; kind: "classes"; label: string; probabilities: [string, number][] };

const AGES = [0, 120];

export function answersOf(variant: Variant, outputs: Record<string, Float32Array>): Answer[] {
  return Object.entries(variant.outputs).map(([head, { kind, unit, labels }]): Answer => {
    const values = outputs[head];
    if (!values?.every(Number.isFinite)) throw new Error(`${variant.model}/${variant.level}: no answer for ${head}`);
    if (kind === "number") {
      const value = head === "age" ? Math.min(Math.max(values[0], AGES[0]), AGES[1]) : values[0];
      return { head, kind, value, unit: unit ?? "" };
    }
    const best = values.indexOf(Math.max(...values));
    return { head, kind, label: labels[best], probabilities: labels.map((label, i) => [label, values[i]]) };
  });
}

/** How far an answer is from another: in the unit, or the largest change of a probability; and whether
 *  another label won. */
export function difference(answer: Answer, other: Answer): { by: number; flipped: boolean } {
  if (answer.kind === "number" && other.kind === "number") return { by: answer.value - other.value, flipped: false };
  if (answer.kind === "classes" && other.kind === "classes") {
    const changes = answer.probabilities.map(([, value], i) => Math.abs(value - other.probabilities[i][1]));
    return { by: Math.max(...changes), flipped: answer.label !== other.label };
  }
  throw new Error(`${answer.head} is answered in two ways`);
}

export const probability = (answer: Answer): number =>
  answer.kind === "number" ? 1 : Math.max(...answer.probabilities.map(([, value]) => value));

export const short = (answer: Answer): string =>
  answer.kind === "number" ? `${answer.value.toFixed(0)} ${answer.unit}` : `${answer.label} ${percent(probability(answer))}`;

export const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
