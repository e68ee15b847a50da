// Breaks the tokens of a completion into lines. Widths go in, lines come out; touches no element. When more tokens arrive,
// the existing lines stay.

import { ensureCapacity, lastPassing } from "../data/columns.ts";
import type { Fragment, Store } from "../data/store.ts";
import { hangingWidth } from "./hanging.ts";
import { breakFlags, LastLine } from "./line_breaks.ts";

/** A fragment, or a part of one that is wider than a line. */
export interface Cell extends Fragment {
  /** In pixels. */
  width: number;
}

/** A text as it is drawn, and where lines may break around it. */
interface MeasuredText {
  cells: Cell[];
  /** In pixels. */
  width: number;
  flags: number;
  /** True if a line ends after it. */
  breaks: boolean;
  isSplit: boolean;
}

/** A cell with its token, and its index within it. */
export interface PlacedCell {
  token: number;
  index: number;
  cell: Cell;
}

/** What is drawn around the tokens and is no part of them: it is neither selected nor copied. */
export interface Asides {
  /** The text before the first token. */
  before(): string;
  /** A short text beside a token. */
  beside(token: number): string;
}

/** Split a fragment that is wider than a line, at spaces if there are any. */
export function splitFragment(fragment: Fragment, width: number, measure: (text: string) => number): Cell[] {
  const isLiteral = fragment.shown === fragment.copied;
  const cells: Cell[] = [];
  let text = "";
  let used = 0;
  let space = 0;
  let usedAtSpace = 0;
  const addCell = (shown: string, cellWidth: number, isLast: boolean) => {
    const copied = isLiteral ? shown : cells.length ? "" : fragment.copied;
    const { marked } = fragment;
    cells.push({ shown, copied, width: cellWidth, breaks: isLast && fragment.breaks, marked });
  };
  const widths = new Map<string, number>();
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(
    fragment.shown,
  )) {
    let segmentWidth = widths.get(segment);
    if (segmentWidth === undefined) {
      segmentWidth = measure(segment);
      widths.set(segment, segmentWidth);
    }
    if (text && used + segmentWidth > width) {
      const end = space || text.length;
      const cellWidth = space ? usedAtSpace : used;
      addCell(text.slice(0, end), cellWidth, false);
      text = text.slice(end);
      used -= cellWidth;
      space = 0;
    }
    text += segment;
    used += segmentWidth;
    if (segment === " ") {
      space = text.length;
      usedAtSpace = used;
    }
  }
  addCell(text, used, true);
  return cells;
}

export class Layout {
  /** The number of lines so far, and the token and the cell that each of them begins with. */
  lineCount = 1;
  #lineTokens = new Uint32Array(256);
  #lineCells = new Uint32Array(256);
  /** The first token that is not laid out. */
  nextToken = 0;
  #width = 0;
  readonly #lastLine = new LastLine((token, cell) => this.#startLine(token, cell));
  readonly #texts = new Map<number, MeasuredText>();
  /** The text before the first token, a cell for each line. The first token follows the last of them. */
  #before: Cell[] = [];

  constructor(
    private readonly store: Store,
    private readonly measure: (text: string) => number,
    private readonly shownText: (fragment: Fragment) => string,
    private readonly asides: Asides = { before: () => "", beside: () => "" },
  ) {}

  get done(): boolean {
    return this.nextToken >= this.store.count;
  }

  /** An estimate of the number of lines of the whole text. */
  get expectedLines(): number {
    return this.done
      ? this.lineCount
      : Math.ceil((this.lineCount * this.store.count) / Math.max(this.nextToken, 1));
  }

  /** Start again, because the width has changed or what is drawn. */
  reset(width: number): void {
    this.#width = width;
    this.#texts.clear();
    this.#before = this.#wrapBefore(this.asides.before());
    this.lineCount = 0;
    for (const _ of this.#before) this.#startLine(0, 0);
    this.lineCount ||= 1;
    this.#rewindTo(0);
  }

  /** Tokens from `first` on have changed. Returns the first line that must be drawn again. */
  invalidate(first: number): number {
    // Appending moves nothing, but it may complete a character on the last line.
    if (first >= this.nextToken) return Math.max(0, this.lineCount - 1);
    let line = this.lineOf(first);
    while (line > 0 && (this.firstCell(line) > 0 || this.firstToken(line) > first)) line--;
    this.lineCount = line + 1;
    this.#rewindTo(this.firstToken(line));
    return line;
  }

  /** Lay out the tokens before `until`. */
  extend(until: number): void {
    const last = Math.min(this.store.count, until);
    while (this.nextToken < last) {
      const token = this.nextToken;
      const { cells, isSplit, flags } = this.textOf(token);
      const aside = this.asides.beside(token);
      const extra = aside ? this.measure(`${aside} `) : 0;
      for (let index = 0; index < cells.length; index++) {
        const { width, breaks, shown } = cells[index] as Cell;
        const whole = index < cells.length - 1 ? width : width + extra;
        const ends = isSplit ? breakFlags(shown) : flags;
        this.#lastLine.place(token, index, whole, ends, breaks, this.#width);
      }
      this.nextToken = token + 1;
    }
  }

  /** The token that a line begins with, and which of its cells. */
  firstToken(line: number): number {
    return line >= this.lineCount ? this.nextToken : (this.#lineTokens[line] ?? 0);
  }
  firstCell(line: number): number {
    return line >= this.lineCount ? 0 : (this.#lineCells[line] ?? 0);
  }

  /** The line on which a token begins. */
  lineOf(token: number): number {
    return lastPassing(this.lineCount, (line) => {
      const first = this.#lineTokens[line] ?? 0;
      return first < token || (first === token && this.#lineCells[line] === 0);
    });
  }

  /** The text before the first token, as far as it is on a line. */
  beforeOn(line: number): string {
    return this.#before[line]?.shown ?? "";
  }

  /** The cells of a line, with their tokens and their indices within these. */
  cellsOn(line: number): PlacedCell[] {
    const placed: PlacedCell[] = [];
    const lastToken = this.firstToken(line + 1);
    const lastCell = this.firstCell(line + 1);
    let index = this.firstCell(line);
    for (
      let token = this.firstToken(line);
      token < lastToken || (token === lastToken && index < lastCell);
      token++
    ) {
      const cells = this.cellsOf(token);
      const end = token === lastToken ? lastCell : cells.length;
      for (; index < end; index++) placed.push({ token, index, cell: cells[index] as Cell });
      index = 0;
    }
    return placed;
  }

  /** The width of the white space in front of a wrapped line: px. An indentation after a line break is none. */
  hangOf(line: number, cells?: PlacedCell[]): number {
    if (this.beforeOn(line) || !this.isWrapped(line)) return 0;
    return hangingWidth(cells ?? this.cellsOn(line), this.measure);
  }

  /** False if a line begins after a line break, or the text. */
  isWrapped(line: number): boolean {
    const token = this.firstToken(line);
    const index = this.firstCell(line);
    const previous = index ? this.cellsOf(token)[index - 1] : token ? this.cellsOf(token - 1).at(-1) : null;
    return previous ? !previous.breaks : line > 0 && line === this.#before.length;
  }

  /** The distance of a line's first token from the left edge: px. */
  #start(line: number): number {
    return (this.#before[line]?.width ?? 0) - this.hangOf(line);
  }

  /** The token at a distance from the left edge: px. */
  tokenAt(line: number, x: number): number {
    let nearest = this.firstToken(line);
    let right = this.#start(line);
    for (const { token, cell } of this.cellsOn(line)) {
      nearest = token;
      right += cell.width;
      if (right > x) break;
    }
    return nearest;
  }

  /** The distance of a token's centre from the left edge: px. */
  centerOf(token: number): number {
    const line = this.lineOf(token);
    let left = this.#start(line);
    for (const item of this.cellsOn(line)) {
      if (item.token === token) return left + item.cell.width / 2;
      left += item.cell.width;
    }
    return left;
  }

  /** The cells of a token, as they are drawn. */
  cellsOf(token: number): Cell[] {
    return this.textOf(token).cells;
  }

  /** The text of a token, as it is drawn. Each distinct text is measured once. */
  textOf(token: number): MeasuredText {
    const index = this.store.textAt[token] ?? 0;
    const existing = this.#texts.get(index);
    if (existing) return existing;
    const text = this.#measureText(index);
    this.#texts.set(index, text);
    return text;
  }

  #measureText(index: number): MeasuredText {
    const cells: Cell[] = [];
    let whole = "";
    let total = 0;
    for (const fragment of this.store.text(index).fragments) {
      const { copied, breaks, marked } = fragment;
      const shown = this.shownText(fragment);
      const width = this.measure(shown);
      const cell = { shown, copied, width, breaks, marked };
      whole += shown;
      total += width;
      if (width > this.#width && shown.length > 1)
        cells.push(...splitFragment(cell, this.#width, this.measure));
      else cells.push(cell);
    }
    return {
      cells,
      width: total,
      flags: breakFlags(whole),
      breaks: cells.at(-1)?.breaks ?? false,
      isSplit: cells.length > 1,
    };
  }

  #wrapBefore(text: string): Cell[] {
    if (!text) return [];
    const lines = text.replaceAll("\t", "    ").split("\n");
    return lines.flatMap((shown) =>
      splitFragment({ shown, copied: "", breaks: false, marked: false }, this.#width, this.measure),
    );
  }

  #startLine(token: number, cell: number): void {
    this.#lineTokens = ensureCapacity(this.#lineTokens, this.lineCount + 1);
    this.#lineCells = ensureCapacity(this.#lineCells, this.lineCount + 1);
    this.#lineTokens[this.lineCount] = token;
    this.#lineCells[this.lineCount] = cell;
    this.lineCount++;
  }

  /** Let the last line begin with a token, and lay out again from there. */
  #rewindTo(token: number): void {
    this.nextToken = token;
    this.#lineTokens[this.lineCount - 1] = token;
    this.#lineCells[this.lineCount - 1] = 0;
    this.#lastLine.clear();
    const lead = this.lineCount === this.#before.length ? this.#before[this.lineCount - 1] : null;
    if (lead?.shown) this.#lastLine.append(lead.width, breakFlags(lead.shown), false);
  }
}
