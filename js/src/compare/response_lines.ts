// The lines of one response in a comparison: where each begins, and where the last one ends so far. RowLayout decides which
// tokens are placed next, and when all responses start a new row.

import { ensureCapacity } from "../data/columns.ts";
import type { Store } from "../data/store.ts";
import { Directions } from "../text/direction.ts";
import type { Cell, Layout, PlacedCell } from "../text/layout.ts";
import { breakFlags, LastLine } from "../text/line_breaks.ts";

/** A text as it is drawn, and where lines may break around it. */
interface MeasuredText {
  cells: Cell[];
  width: number;
  flags: number;
  /** True if a line ends after it. */
  breaks: boolean;
  isSplit: boolean;
}

export class ResponseLines {
  /** For each row: the token and the cell that it begins with. */
  rowTokens = new Uint32Array(256);
  rowCells = new Uint32Array(256);
  lastRow = 0;
  readonly lastLine = new LastLine((token, cell) => this.#addRow(token, cell));
  /** The first token that is not laid out. */
  nextToken = 0;
  readonly directions = new Directions(this);
  readonly #texts = new Map<number, MeasuredText>();

  constructor(
    readonly store: Store,
    private readonly layout: Layout,
  ) {}

  reset(width: number): void {
    this.layout.reset(width);
    this.#texts.clear();
    this.lastRow = this.nextToken = 0;
    this.rowTokens[0] = this.rowCells[0] = 0;
    this.lastLine.clear();
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
      flags: breakFlags(shown),
      breaks: cells.at(-1)?.breaks ?? false,
      isSplit: cells.length > 1,
    };
    this.#texts.set(textIndex, text);
    return text;
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
      const { cells } = this.textOf(token);
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
      ? this.textOf(token).cells[index - 1]?.breaks
      : !token || this.textOf(token - 1).breaks;
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
      const { width, flags, breaks } = this.textOf(this.nextToken);
      this.lastLine.append(width, flags, breaks);
    }
    this.lastLine.forgetBreaks();
  }

  /** Wrap the tokens before `end` into as many rows as they need. */
  wrap(end: number, width: number): void {
    for (; this.nextToken < end; this.nextToken++)
      this.textOf(this.nextToken).cells.forEach((cell, index) => {
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
