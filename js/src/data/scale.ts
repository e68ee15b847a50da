// What a colour says: the heat of a value, from 0 to 1, and how values are written.
// Heat alone reaches the stylesheet, which makes a colour of it.

export type ColorBy = "probability" | "surprisal" | "entropy" | "margin" | "rank";

/** As deluge_nb/render/scale.py describes it: the facts travel with the tokens. */
export interface Scale {
  curve: "root" | "linear" | "log";
  cap: number;
  unit: string;
  steps: [string, number][];
  heats: number[];
}

const clamp = (value: number) => Math.min(1, Math.max(0, value));

/** Heat of a value; NaN where it is unknown. */
export function heat(scale: Scale, value: number): number {
  if (Number.isNaN(value)) return value;
  if (scale.curve === "root") return Math.sqrt(clamp(1 - value));
  if (scale.curve === "linear") return clamp(value / scale.cap);
  return clamp(Math.log(Math.max(value, 1)) / Math.log(scale.cap));
}

/** The value that has a given heat. */
export function valueAt(scale: Scale, at: number): number {
  if (scale.curve === "root") return 1 - at * at;
  if (scale.curve === "linear") return at * scale.cap;
  return Math.round(scale.cap ** at);
}

/** Whether values are within limits; null where there are none. */
export function within(
  scale: Scale,
  colorBy: ColorBy,
  [low, high]: number[],
): ((value: number) => boolean) | null {
  if (low === undefined || high === undefined) return null;
  // Values came in single precision; a probability did as its logarithm. What lies on a limit is within.
  const slack = (limit: number) =>
    2e-7 * Math.abs(limit * (colorBy === "probability" ? Math.log(limit) : 1)) || 0;
  const from = low - slack(low);
  // The end of a scale stands for all that is beyond.
  const to = high === scale.cap ? Number.POSITIVE_INFINITY : high + slack(high);
  return (value) => value >= from && value <= to;
}

/** A probability for people: `93.1 %`, and never a rounded 0 or 100. */
export function percent(probability: number): string {
  if (Number.isNaN(probability)) return "unknown";
  const value = probability * 100;
  if (value < 0.01) return value === 0 ? "0 %" : "<0.01 %";
  if (value > 99.99 && value < 100) return ">99.99 %";
  const digits = value < 1 || value >= 99.95 ? 2 : 1;
  return `${value.toFixed(digits).replace(/\.0+$/, "")} %`;
}

/** A value as a legend writes it. */
export function written(scale: Scale, value: number): string {
  if (scale.curve === "root") return percent(value);
  const text = scale.curve === "log" ? String(value) : value.toFixed(1).replace(/\.0$/, "");
  return value >= scale.cap ? `≥ ${text}` : text;
}
