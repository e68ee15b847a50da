// The elements of a token's cells and how they are painted, the same in a view and in a comparison.

import { element } from "../ui/dom.ts";
import type { Cell } from "./layout.ts";

/** Steps of heat, each with a class in the stylesheet (js/build.mjs): finer than the eye can see. */
const HEAT_STEPS = 64;

const SELECTED = "deluge-selected";

// Templates that are cloned for each token, because creating elements is most of the cost of scrolling.
const FIRST_CELL = element("span");
FIRST_CELL.setAttribute("role", "option");
FIRST_CELL.setAttribute("aria-selected", "false");
const FURTHER_CELL = element("span");
FURTHER_CELL.setAttribute("aria-hidden", "true");
/** The number of tokens that the template of first cells names. */
let namedCount = -1;

/** The painting of a token. */
export interface Appearance {
  /** From 0 to 1; NaN if unknown, null if it has not arrived. */
  heat: number | null;
  /** Class names, each with a space in front. */
  classes: string;
}

export function heatClass(heat: number): string {
  return `deluge-h${Math.round(heat * HEAT_STEPS)}`;
}

/** The element of a cell, unpainted. For screen readers the first cell is the token: `id`, and one of `count`. */
export function renderCell(token: number, index: number, cell: Cell, id: string, count: number): HTMLElement {
  if (namedCount !== count) {
    FIRST_CELL.setAttribute("aria-setsize", `${count}`);
    namedCount = count;
  }
  const span = (index ? FURTHER_CELL : FIRST_CELL).cloneNode() as HTMLElement;
  span.textContent = cell.shown;
  span.setAttribute("data-token", `${token}`);
  if (cell.marked) span.setAttribute("data-marked", "");
  if (index) span.setAttribute("data-cell", `${index}`);
  else {
    span.id = id;
    span.setAttribute("aria-posinset", `${token + 1}`);
  }
  return span;
}

export function paintCell(span: HTMLElement, { heat, classes }: Appearance): void {
  let className = `deluge-token${classes}`;
  if (span.hasAttribute("data-marked")) className += " deluge-marked";
  if (heat !== null) className += Number.isNaN(heat) ? " deluge-unknown" : ` ${heatClass(heat)}`;
  const before = span.className;
  if (before === className) return;
  span.className = className;
  const isSelected = className.includes(SELECTED);
  if (before.includes(SELECTED) !== isSelected && span.hasAttribute("role"))
    span.setAttribute("aria-selected", String(isSelected));
}

/** The colours that the stylesheet gives to tokens with these heats, within a view. Forced colours leave only one. */
export function heatColors(root: HTMLElement, heats: number[]): string[] {
  if (matchMedia("(forced-colors: active)").matches) return heats.map(() => getComputedStyle(root).color);
  const samples = heats.map((heat) => element("span", `deluge-token ${heatClass(heat)}`));
  const holder = element("span", "deluge-ruler");
  holder.append(...samples);
  root.append(holder);
  const colors = samples.map((sample) => getComputedStyle(sample).backgroundColor);
  holder.remove();
  return colors;
}

/** The element of the cell that an event happened on. */
export function cellAt(event: Event): HTMLElement | null {
  return (event.target as Element | null)?.closest?.<HTMLElement>("[data-token]") ?? null;
}
