// The letters that name the responses of a comparison.

import { element } from "../ui/dom.ts";

export const LETTERS = "ABCDEFGH";

/** The letter of a response below a piece of its line in the chart. */
export function badge(side: number): HTMLElement {
  return swatch(side, LETTERS[side]);
}

/** A name to write after its letter; empty if the name is that letter, which would appear twice. */
export function afterLetter(name: string, side: number): string {
  return name === LETTERS[side] ? "" : name;
}

/** A piece of a response's line in the chart. */
export function swatch(side: number, text = ""): HTMLElement {
  const root = element("span", "deluge-swatch", text);
  root.dataset["side"] = String(side);
  return root;
}
