// The direction of wrapped lines. The browser gives each line the direction of its own first letter; but a line that was
// wrapped runs as its paragraph does.

import { LETTER, RIGHT_TO_LEFT } from "./hanging.ts";
import type { Layout } from "./layout.ts";

/** Lines in front of a wrapped one in which the first letter of its paragraph is looked for. */
const MAX_BACK = 200;

/** Finds the directions of lines; costs nothing until a line with right-to-left letters is seen. */
export class Directions {
  #mayTurn = false;

  constructor(private readonly layout: Layout) {}

  /** The direction of a wrapped line; empty if its own first letter decides. */
  of(line: number): "" | "ltr" | "rtl" {
    const { layout } = this;
    this.#mayTurn ||= RIGHT_TO_LEFT.test(this.#textOf(line));
    if (!this.#mayTurn || !layout.isWrapped(line)) return "";
    let first = line;
    while (first > Math.max(0, line - MAX_BACK) && layout.isWrapped(first)) first--;
    for (; first <= line; first++) {
      const letter = LETTER.exec(this.#textOf(first))?.[0];
      if (letter) return RIGHT_TO_LEFT.test(letter) ? "rtl" : "ltr";
    }
    return "";
  }

  #textOf(line: number): string {
    return Array.from(this.layout.cellsOn(line), ({ cell }) => cell.shown).join("");
  }
}
