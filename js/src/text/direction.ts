// The direction of wrapped lines. The browser gives each line the direction of its own first letter; but a line that was
// wrapped runs as its paragraph does.

import { LETTER, RIGHT_TO_LEFT } from "./hanging.ts";
import type { PlacedCell } from "./layout.ts";

/** Lines in front of a wrapped one in which the first letter of its paragraph is looked for. */
const MAX_BACK = 200;

/** Lines of text, as a layout has them. */
interface Lines {
  /** False if a line begins after a line break, or the text. */
  isWrapped(line: number): boolean;
  cellsOn(line: number): Iterable<PlacedCell>;
}

/** Finds the directions of lines; costs nothing until a line with right-to-left letters is seen. */
export class Directions {
  #mayTurn = false;

  constructor(private readonly lines: Lines) {}

  /** Let a wrapped line run as its paragraph does. Return true if that is from right to left. */
  turn(element: HTMLElement, line: number, cells?: Iterable<PlacedCell>): boolean {
    const direction = this.of(line, cells);
    if (direction) element.dir = direction;
    return direction === "rtl";
  }

  /** The direction of a wrapped line; empty if its own first letter decides. */
  of(line: number, cells?: Iterable<PlacedCell>): string {
    const { lines } = this;
    this.#mayTurn ||= RIGHT_TO_LEFT.test(this.#textOf(line, cells));
    if (!this.#mayTurn || !lines.isWrapped(line)) return "";
    let first = line;
    while (first > line - MAX_BACK && lines.isWrapped(first)) first--;
    for (; first <= line; first++) {
      const letter = LETTER.exec(this.#textOf(first))?.[0];
      if (letter) return RIGHT_TO_LEFT.test(letter) ? "rtl" : "ltr";
    }
    return "";
  }

  #textOf(line: number, cells: Iterable<PlacedCell> = this.lines.cellsOn(line)): string {
    let text = "";
    for (const { cell } of cells) text += cell.shown;
    return text;
  }
}
