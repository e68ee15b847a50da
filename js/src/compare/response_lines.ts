// The lines of one response in a comparison: where each begins, and where the last one ends so far. RowLayout decides which
// tokens are placed next, and when all responses start a new row.

import { ensureCapacity } from "../data/columns.ts";
import type { Store } from "../data/store.ts";
import { BREAK_AFTER, BREAK_BEFORE, type Cell, type Layout, NO_BREAK_BEFORE } from "../text/layout.ts";

/** A text as it is drawn, and where lines may break around it. */
interface MeasuredText {
  cells: Cell[];
  width: number;
  canBreakBefore: boolean;
  canBreakAfter: boolean;
  cannotBreakBefore: boolean;
  /** Whether a line ends after it. */
  breaks: boolean;
  isSplit: boolean;
}

export class ResponseLines {
  /** For each row: the token and the cell that it begins with. */
  rowTokens = new Uint32Array(256);
  rowCells = new Uint32Array(256);
  lastRow = 0;
  /** The used width of the last row. */
  used = 0;
  canBreak = true;
  mustBreak = false;
  /** The first token that is not laid out. */
  nextToken = 0;
  /** The cell before which the last row may break; token -1 if it may not. */
  #breakToken = -1;
  #breakCell = 0;
  #usedAtBreak = 0;
  readonly #texts = new Map<number, MeasuredText>();

  constructor(
    readonly store: Store,
    private readonly layout: Layout,
  ) {}

  reset(width: number): void {
    this.layout.reset(width);
    this.#texts.clear();
    this.lastRow = this.used = this.nextToken = 0;
    this.rowTokens[0] = this.rowCells[0] = 0;
    this.canBreak = true;
    this.mustBreak = false;
    this.#breakToken = -1;
  }

  textOf(token: number): MeasuredText {
    const textIndex = this.store.textAt[token] ?? 0;
    const existing = this.#texts.get(textIndex);
    if (existing) return existing;
    const cells = this.layout.cellsOf(token);
    const shown = cells.map((cell) => cell.shown).join("");
    const text = {
      cells,
      width: cells.reduce((sum, cell) => sum + cell.width, 0),
      canBreakBefore: BREAK_BEFORE.test(shown),
      canBreakAfter: BREAK_AFTER.test(shown),
      cannotBreakBefore: NO_BREAK_BEFORE.test(shown),
      breaks: cells.at(-1)?.breaks ?? false,
      isSplit: cells.length > 1,
    };
    this.#texts.set(textIndex, text);
    return text;
  }

  /** Start a row with a token, or with one of its cells. */
  startRow(token: number, cell = 0): void {
    this.lastRow++;
    this.rowTokens = ensureCapacity(this.rowTokens, this.lastRow + 1);
    this.rowCells = ensureCapacity(this.rowCells, this.lastRow + 1);
    this.rowTokens[this.lastRow] = token;
    this.rowCells[this.lastRow] = cell;
    this.used = 0;
    this.#breakToken = -1;
    this.mustBreak = false;
  }

  /** Add the tokens before `end` to the last row, where they fit. */
  addToRow(end: number): void {
    for (; this.nextToken < end; this.nextToken++) {
      const text = this.textOf(this.nextToken);
      this.used += text.width;
      this.canBreak = text.canBreakAfter;
      this.mustBreak = text.breaks;
    }
    this.#breakToken = -1;
  }

  /** Wrap the tokens before `end` into as many rows as they need. */
  wrap(end: number, width: number): void {
    for (; this.nextToken < end; this.nextToken++) {
      const { cells, canBreakBefore, cannotBreakBefore } = this.textOf(this.nextToken);
      for (let index = 0; index < cells.length; index++) {
        const cell = cells[index] as Cell;
        const previous = cells[index - 1];
        const canBreak = previous
          ? BREAK_AFTER.test(previous.shown) || NO_BREAK_BEFORE.test(previous.shown)
          : !cannotBreakBefore && (canBreakBefore || this.canBreak);
        this.#placeCell(this.nextToken, index, cell, canBreak, width);
      }
    }
  }

  #placeCell(token: number, index: number, cell: Cell, canBreak: boolean, width: number): void {
    if (this.mustBreak) this.startRow(token, index);
    if (canBreak && this.used > 0) {
      this.#breakToken = token;
      this.#breakCell = index;
      this.#usedAtBreak = this.used;
    }
    while (this.used > 0 && this.used + cell.width > width) {
      if (this.#breakToken >= 0) {
        const moved = this.used - this.#usedAtBreak;
        this.startRow(this.#breakToken, this.#breakCell);
        this.used = moved;
      } else this.startRow(token, index);
    }
    this.used += cell.width;
    this.canBreak = BREAK_AFTER.test(cell.shown);
    this.mustBreak = cell.breaks;
  }
}
