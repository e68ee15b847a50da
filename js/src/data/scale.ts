// Maps values to heat, a number from 0 (sure) to 1 (unsure). The curves are those of deluge_nb/render/scale.py; their
// parameters arrive with the tokens. Only the stylesheet turns heat into a colour.

export type ColorBy = "probability" | "surprisal" | "entropy" | "margin" | "rank";

/** A curve from values to heat, the unit of the values, and the steps of its legend. */
export interface Scale {
  curve: "root" | "linear" | "log";
  /** The value with heat 1, which stands for all values beyond it as well. */
  cap: number;
  unit: string;
  steps: [text: string, value: number][];
  /** The heat of each step. */
  heats: number[];
}

const clamp = (value: number) => Math.min(1, Math.max(0, value));

/** The heat of a value; NaN if the value is unknown. */
export function heat(scale: Scale, value: number): number {
  if (Number.isNaN(value)) return value;
  if (scale.curve === "root") return Math.sqrt(clamp(1 - value));
  if (scale.curve === "linear") return clamp(value / scale.cap);
  return clamp(Math.log(Math.max(value, 1)) / Math.log(scale.cap));
}

/** The value with a given heat: the inverse of `heat`. */
export function valueAt(scale: Scale, at: number): number {
  if (scale.curve === "root") return 1 - at * at;
  if (scale.curve === "linear") return at * scale.cap;
  return Math.round(scale.cap ** at);
}

/** A test of whether a value lies within limits, both included; null if there are no limits. */
export function limitTest(
  scale: Scale,
  colorBy: ColorBy,
  [low, high]: number[],
): ((value: number) => boolean) | null {
  if (low === undefined || high === undefined) return null;
  // Values arrive in single precision, and probabilities as logarithms. A value equal to a limit must pass.
  const tolerance = (limit: number) =>
    2e-7 * Math.abs(limit * (colorBy === "probability" ? Math.log(limit) : 1)) || 0;
  const from = low - tolerance(low);
  // The cap stands for all values beyond it.
  const to = high === scale.cap ? Number.POSITIVE_INFINITY : high + tolerance(high);
  return (value) => value >= from && value <= to;
}
