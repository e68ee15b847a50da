// The value of each token on a scale, and its heat.

import { type ColorBy, heat } from "./scale.ts";
import type { Store } from "./store.ts";

/** The value of a token; NaN where it is not known, or not yet. */
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

/** Whether a scale is of what the model weighed besides, which may come later than the tokens. */
export function needsMeasures(colorBy: ColorBy): boolean {
  return colorBy === "entropy" || colorBy === "margin" || colorBy === "rank";
}

export function heatOf(store: Store, colorBy: ColorBy, token: number): number {
  return heat(store.scales[colorBy], valueFor(store, colorBy, token));
}

/** Heat of a token; NaN where it is unknown, null where it has not come yet. */
export function heatAt(store: Store, colorBy: ColorBy, token: number): number | null {
  return needsMeasures(colorBy) && !store.isMeasured(token) ? null : heatOf(store, colorBy, token);
}
