// The letters that name the responses of a comparison.

import { element } from "../ui/dom.ts";

export const LETTERS = "ABCDEFGH";

/** The letter of a response below a piece of its line in the chart. */
export function badge(side: number): HTMLElement {
  return swatch(side, LETTERS[side]);
}

/** A piece of a response's line in the chart. */
export function swatch(side: number, text = ""): HTMLElement {
  const root = element("span", "deluge-swatch", text);
  root.dataset["side"] = String(side);
  return root;
}
