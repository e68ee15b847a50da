// Breaks the texts of all responses into rows. A row holds the same text of every response: lines break together where all
// of them can. Text that only some responses have goes on by itself until the texts meet again. Touches no element.

import { ensureCapacity, lastPassing } from "../data/columns.ts";
import { hangingWidth } from "../text/hanging.ts";
import type { Layout, PlacedCell } from "../text/layout.ts";
import { canBreak } from "../text/line_breaks.ts";
import type { Alignment, TokenRef } from "./alignment.ts";
import { ResponseLines } from "./response_lines.ts";

/** Tokens to lay out between two pauses. */
const STEP = 2048;
/** Units of a word that are kept on one row, at most. */
const MAX_WORD_UNITS = 64;

export class RowLayout {
  #responses: ResponseLines[];
  #nextUnit = 0;
  #width = 0;
  #isInterleaved = false;
  /** True if each response wraps by itself until the end of the current unit. */
  #isWrapping = false;
  /** For each row: the lines drawn above it. Known for the first `countedRows` rows. */
  #linesAbove = new Uint32Array(256);
  #countedRows = 0;

  constructor(
    private readonly alignment: Alignment,
    layouts: Layout[],
    private readonly measure: (text: string) => number,
  ) {
    this.#responses = alignment.stores.map(
      (store, side) => new ResponseLines(store, layouts[side] as Layout),
    );
  }

  get done(): boolean {
    return this.#nextUnit >= this.alignment.common.length;
  }

  /** The number of complete rows. */
  get rowCount(): number {
    const rows = this.#responses.map((response) => response.lastRow);
    return this.done ? Math.max(...rows) + 1 : Math.min(...rows);
  }

  /** The number of lines above a row: one per row, or if interleaved, one per response that has text on the row. */
  linesBefore(row: number): number {
    if (!this.#isInterleaved) return row;
    this.#linesAbove = ensureCapacity(this.#linesAbove, row + 2);
    for (; this.#countedRows < row; this.#countedRows++) {
      this.#linesAbove[this.#countedRows + 1] =
        (this.#linesAbove[this.#countedRows] ?? 0) + Math.max(1, this.sidesOn(this.#countedRows).length);
    }
    return this.#linesAbove[row] ?? 0;
  }

  /** An estimate of the numbers of rows and lines of the whole text. */
  get expected(): { rows: number; lines: number } {
    const rows = this.rowCount;
    const all = this.#responses.reduce((sum, response) => sum + response.store.count, 0);
    const laidOut = this.#responses.reduce((sum, response) => sum + response.nextToken, 0);
    const factor = this.done ? 1 : all / Math.max(1, laidOut);
    return { rows: Math.ceil(rows * factor), lines: Math.ceil(this.linesBefore(rows) * factor) };
  }

  /** Start again with lines of a width. */
  reset(width: number, isInterleaved: boolean): void {
    this.#width = width;
    this.#isInterleaved = isInterleaved;
    this.#nextUnit = 0;
    this.#countedRows = 0;
    this.#isWrapping = false;
    for (const response of this.#responses) response.reset(width);
  }

  /** Lay out until there are enough rows, and a token of a response is laid out. */
  extend(rows: number, side = 0, token = -1): void {
    while (!this.done && (this.rowCount < rows || (this.#responses[side]?.nextToken ?? 0) <= token))
      this.step();
  }

  /** Lay out a little more. */
  step(): void {
    const { common } = this.alignment;
    let tokens = 0;
    while (this.#nextUnit < common.length && tokens < STEP) {
      const units = this.#unitsOfWord();
      const ends = this.#responses.map(
        (_, side) => this.alignment.units[side]?.[this.#nextUnit + units] ?? 0,
      );
      const fits = this.#isWrapping ? null : this.#fitsOnRow(ends);
      if (fits !== null) {
        // If one response is full, all of them start a new row.
        if (!fits || this.#responses.some((response) => response.lastLine.mustBreak)) this.#alignRows(true);
        this.#responses.forEach((response, side) => {
          tokens += (ends[side] ?? 0) - response.nextToken;
          response.addToRow(ends[side] ?? 0);
        });
      } else {
        this.#responses.forEach((response, side) => {
          const end = Math.min(ends[side] ?? 0, response.nextToken + STEP);
          tokens += end - response.nextToken;
          response.wrap(end, this.#width);
        });
        this.#isWrapping = this.#responses.some((response, side) => response.nextToken < (ends[side] ?? 0));
        if (this.#isWrapping) return;
        this.#alignRows(false);
      }
      this.#nextUnit += units;
    }
  }

  /** The row on which a token begins. */
  rowOf({ side, token }: TokenRef): number {
    const { rowTokens, rowCells, lastRow } = this.linesOf(side);
    return lastPassing(Math.min(lastRow + 1, this.rowCount), (row) => {
      const first = rowTokens[row] ?? 0;
      return first < token || (first === token && rowCells[row] === 0);
    });
  }

  /** The cells of a response on a row. */
  cellsOn(side: number, row: number): Generator<PlacedCell> {
    return this.linesOf(side).cellsOn(row);
  }

  linesOf(side: number): ResponseLines {
    return this.#responses[side] as ResponseLines;
  }

  /** The responses that have text on a row. */
  sidesOn(row: number): number[] {
    return this.#responses.flatMap((_, side) => (this.cellsOn(side, row).next().done ? [] : [side]));
  }

  /** The width of the white space in front of a wrapped row of a response: px. */
  hangOf(side: number, row: number): number {
    return this.linesOf(side).isWrapped(row) ? hangingWidth(this.cellsOn(side, row), this.measure) : 0;
  }

  /** The token of a response at a distance from the left edge (px); null if it has none on the row. */
  tokenAt(side: number, row: number, x: number): number | null {
    let nearest: number | null = null;
    let right = -this.hangOf(side, row);
    for (const { token, index, cell } of this.cellsOn(side, row)) {
      if (index === 0 || nearest === null) nearest = token;
      right += cell.width;
      if (right > x) break;
    }
    return nearest;
  }

  /** The distance of a token's centre from the left edge: px. */
  centerOf({ side, token }: TokenRef): number {
    const row = this.rowOf({ side, token });
    let left = -this.hangOf(side, row);
    for (const item of this.cellsOn(side, row)) {
      if (item.token === token) return left + item.cell.width / 2;
      left += item.cell.width;
    }
    return left;
  }

  /** The number of units from the next one on that belong to one word. */
  #unitsOfWord(): number {
    const { common } = this.alignment;
    let count = 1;
    while (
      count < MAX_WORD_UNITS &&
      this.#nextUnit + count < common.length &&
      !this.#canBreakBefore(this.#nextUnit + count)
    )
      count++;
    return count;
  }

  /** True if all responses may break a line before a unit. */
  #canBreakBefore(unit: number): boolean {
    const { units } = this.alignment;
    let hasText = false;
    for (let side = 0; side < this.#responses.length; side++) {
      const response = this.linesOf(side);
      const from = units[side]?.[unit] ?? 0;
      if (from === units[side]?.[unit + 1]) continue;
      hasText = true;
      const text = response.layout.textOf(from);
      if (from === 0) continue;
      const previous = response.layout.textOf(from - 1);
      if (!previous.breaks && !canBreak(previous.flags, text.flags)) return false;
    }
    return hasText;
  }

  /** True if tokens fit on the current row; null if they would not fit on a row of their own either. */
  #fitsOnRow(ends: number[]): boolean | null {
    let fits = true;
    for (let side = 0; side < this.#responses.length; side++) {
      const response = this.linesOf(side);
      const end = ends[side] ?? 0;
      let width = 0;
      for (let token = response.nextToken; token < end; token++) {
        const text = response.layout.textOf(token);
        width += text.width;
        if (width > this.#width || text.isSplit || (text.breaks && token < end - 1)) return null;
      }
      if (response.lastLine.used + width > this.#width) fits = false;
    }
    return fits;
  }

  /** Let all responses continue on the same row: the last one that any has reached, or a new one. */
  #alignRows(onNewRow: boolean): void {
    const row = Math.max(...this.#responses.map((response) => response.lastRow)) + (onNewRow ? 1 : 0);
    for (const response of this.#responses) {
      // Responses with less text leave the rows in between empty.
      while (response.lastRow < row) response.startRow();
    }
  }
}
