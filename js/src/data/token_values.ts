// The value of each token on a scale, and its heat, read from a store.

import { type ColorBy, heat } from "./scale.ts";
import type { Store } from "./store.ts";

/** The value of a token, in the unit of the scale; NaN if it is unknown or has not arrived. */
export function valueFor(store: Store, colorBy: ColorBy, token: number): number {
  switch (colorBy) {
    case "probability":
      return Math.exp(store.logprob[token] ?? Number.NaN);
    case "surprisal":
      return Math.max(0, -(store.logprob[token] ?? Number.NaN) / Math.LN2);
    case "entropy":
      return store.measures?.entropy[token] ?? Number.NaN;
    case "margin":
      return store.measures?.margin[token] ?? Number.NaN;
    case "rank":
      return store.measures?.rank[token] || Number.NaN;
  }
}

/** True if a scale needs measures of the alternatives, which may arrive later than the tokens. */
export function needsMeasures(colorBy: ColorBy): boolean {
  return colorBy === "entropy" || colorBy === "margin" || colorBy === "rank";
}

/** The heat of a token; NaN if its value is unknown or has not arrived. */
export function heatOf(store: Store, colorBy: ColorBy, token: number): number {
  return heat(store.scales[colorBy], valueFor(store, colorBy, token));
}

/** The heat of a token; NaN if its value is unknown, null if it has not arrived. */
export function heatAt(store: Store, colorBy: ColorBy, token: number): number | null {
  return needsMeasures(colorBy) && !store.isMeasured(token) ? null : heatOf(store, colorBy, token);
}
