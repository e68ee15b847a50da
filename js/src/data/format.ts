// Formats numbers for people. `percent` writes the same as its namesake in deluge_nb/render/scale.py; both are tested by
// the vectors in tests/fixtures/percent_vectors.json.

import type { Scale } from "./scale.ts";

// Log-probabilities arrive in single precision: up to this relative distance a value counts as the half or the limit.
const SINGLE_PRECISION = 1e-6;

/** Format a probability or a share, such as `93.1 %`. Halves are rounded up; never rounded to 0 or 100. */
export function percent(probability: number): string {
  if (Number.isNaN(probability)) return "unknown";
  const value = probability * 100;
  const raised = value * (1 + SINGLE_PRECISION);
  if (raised < 0.01) return value === 0 ? "0 %" : "<0.01 %";
  if (value > 99.99 * (1 + SINGLE_PRECISION) && value < 100) return ">99.99 %";
  const digits = raised < 1 || raised >= 99.95 ? 2 : 1;
  const scale = 10 ** digits;
  const rounded = Math.floor(Math.min(raised, 100) * scale + 0.5) / scale;
  return `${rounded.toFixed(digits).replace(/\.0+$/, "")} %`;
}

/** Format a probability that is known only to lie in an interval. */
export function percentRange([low, high]: [number, number]): string {
  const [least, most] = [percent(low), percent(high)];
  return least === most ? least : `${least.replace(" %", "")} – ${most}`;
}

/** Format a value as the legend of its scale does. */
export function formatValue(scale: Scale, value: number): string {
  if (scale.curve === "root") return percent(value);
  const text = scale.curve === "log" ? String(value) : value.toFixed(1).replace(/\.0$/, "");
  return value >= scale.cap ? `≥ ${text}` : text;
}

/** Format a count with its noun, such as `1 token` or `3 tokens`. */
export function pluralize(count: number, noun = "token"): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Format the perplexity of the `known` of `count` tokens, whose log-probabilities add up to `sum` nats. */
export function formatPerplexity(sum: number, known: number, count: number): string {
  const extent = known < count ? ` (of ${known} of ${pluralize(count)})` : "";
  const value = Math.exp(-sum / known);
  const text = value < 1e6 ? value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0) : value.toPrecision(2);
  return `perplexity ${text}${extent}`;
}

/** Format the probability of a whole answer: as a percentage, and in nats because it may be tiny. */
export function jointProbability(total: number | null): string {
  if (total === null || Number.isNaN(total)) return "";
  return `joint probability ${percent(Math.exp(total))} (${signed(total)} nats)`;
}

/** Format a number with a minus sign as wide as a digit. */
export const signed = (value: number, digits = 2) => value.toFixed(digits).replace("-", "−");

/** Format a difference in nats, always with its sign. */
export function signedNats(nats: number): string {
  if (Number.isNaN(nats)) return "unknown";
  const text = signed(nats);
  return /[1-9]/.test(text) ? `${nats > 0 ? "+" : ""}${text}` : "±0";
}
