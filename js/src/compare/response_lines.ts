// The lines of one response in a comparison: where each begins, and where the last one ends so far. RowLayout decides which
// tokens are placed next, and when all responses start a new row.

import { ensureCapacity } from "../data/columns.ts";
import type { Store } from "../data/store.ts";
import { Directions } from "../text/direction.ts";
import type { Cell, Layout, PlacedCell } from "../text/layout.ts";
import { breakFlags, LastLine } from "../text/line_breaks.ts";

export class ResponseLines {
  /** For each row: the token and the cell that it begins with. */
  rowTokens = new Uint32Array(256);
  rowCells = new Uint32Array(256);
  lastRow = 0;
  readonly lastLine = new LastLine((token, cell) => this.#addRow(token, cell));
  /** The first token that is not laid out. */
  nextToken = 0;
  readonly directions = new Directions(this);

  constructor(
    readonly store: Store,
    readonly layout: Layout,
  ) {}

  reset(width: number): void {
    this.layout.reset(width);
    this.lastRow = this.nextToken = 0;
    this.rowTokens[0] = this.rowCells[0] = 0;
    this.lastLine.clear();
  }

  /** The cells on a row, with their tokens and their indices within these. */
  *cellsOn(row: number): Generator<PlacedCell> {
    const isLast = row >= this.lastRow;
    const lastToken = isLast ? this.nextToken : (this.rowTokens[row + 1] ?? 0);
    const lastCell = isLast ? 0 : (this.rowCells[row + 1] ?? 0);
    if (row > this.lastRow) return;
    let index = this.rowCells[row] ?? 0;
    let token = this.rowTokens[row] ?? 0;
    for (; token < lastToken || (token === lastToken && index < lastCell); token++) {
      const cells = this.layout.cellsOf(token);
      const end = token === lastToken ? lastCell : cells.length;
      for (; index < end; index++) yield { token, index, cell: cells[index] as Cell };
      index = 0;
    }
  }

  /** False if a row begins after a line break, or the text. */
  isWrapped(row: number): boolean {
    const token = this.rowTokens[row] ?? 0;
    const index = this.rowCells[row] ?? 0;
    const breaks = index
      ? this.layout.cellsOf(token)[index - 1]?.breaks
      : !token || this.layout.textOf(token - 1).breaks;
    return !breaks;
  }

  /** Start a row with the next token. */
  startRow(): void {
    this.#addRow(this.nextToken, 0);
    this.lastLine.clear();
  }

  /** Add the tokens before `end` to the last row, where they fit. */
  addToRow(end: number): void {
    for (; this.nextToken < end; this.nextToken++) {
      const { width, flags, breaks } = this.layout.textOf(this.nextToken);
      this.lastLine.append(width, flags, breaks);
    }
    this.lastLine.forgetBreaks();
  }

  /** Wrap the tokens before `end` into as many rows as they need. */
  wrap(end: number, width: number): void {
    for (; this.nextToken < end; this.nextToken++)
      this.layout.cellsOf(this.nextToken).forEach((cell, index) => {
        this.lastLine.place(this.nextToken, index, cell.width, breakFlags(cell.shown), cell.breaks, width);
      });
  }

  #addRow(token: number, cell: number): void {
    this.lastRow++;
    this.rowTokens = ensureCapacity(this.rowTokens, this.lastRow + 1);
    this.rowCells = ensureCapacity(this.rowCells, this.lastRow + 1);
    this.rowTokens[this.lastRow] = token;
    this.rowCells[this.lastRow] = cell;
  }
}
