// Which tokens stand on which line. Widths go in, lines come out; what was laid out stays when more comes.

import type { Fragment, Store } from "../data/store.ts";

// Where a word may begin: at such a text, or after one. Chinese, Japanese and Korean may be cut at any letter, but no
// line begins with their full stops and closing brackets.
const LETTERS = "\\u3041-\\u30fa\\u3400-\\u9fff\\uac00-\\ud7af\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
export const OPENS = new RegExp(`^[\\s·⇥↵${LETTERS}]`, "u");
export const CLOSES = new RegExp(`[\\s·\\-–—/，。、！？；：」』）${LETTERS}]$`, "u");

export const HANGS = /^[，。、！？；：」』）]/;

const OPEN = 1;
const CLOSED = 2;
/** Of several cells, or the end of a line. */
const MANY = 4;
/** No line begins with it. */
const HUNG = 8;

/** A stretch, or part of one that is wider than a line. */
export interface Cell extends Fragment {
  width: number;
}

/** Cut a stretch that is wider than a line, at spaces where there are any. */
export function cut(stretch: Fragment, width: number, measure: (text: string) => number): Cell[] {
  const literal = stretch.shown === stretch.copied;
  const cells: Cell[] = [];
  let text = "";
  let used = 0;
  let space = 0;
  let usedAtSpace = 0;
  const close = (piece: string, wide: number, last: boolean) => {
    const copied = literal ? piece : cells.length ? "" : stretch.copied;
    cells.push({ shown: piece, copied, width: wide, breaks: last && stretch.breaks, marked: stretch.marked });
  };
  const widths = new Map<string, number>();
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(
    stretch.shown,
  )) {
    let wide = widths.get(segment);
    if (wide === undefined) {
      wide = measure(segment);
      widths.set(segment, wide);
    }
    if (text && used + wide > width) {
      const at = space || text.length;
      const before = space ? usedAtSpace : used;
      close(text.slice(0, at), before, false);
      text = text.slice(at);
      used -= before;
      space = 0;
    }
    text += segment;
    used += wide;
    if (segment === " ") {
      space = text.length;
      usedAtSpace = used;
    }
  }
  close(text, used, true);
  return cells;
}

export class Layout {
  /** Number of lines so far, and the token and the cell that each begins with. */
  lines = 1;
  private tokens = new Uint32Array(256);
  private cellsAt = new Uint32Array(256);
  /** The first token that is not laid out. */
  next = 0;
  private width = 0;
  private used = 0;
  private usedAtCut = 0;
  private cutToken = -1;
  private cutCell = 0;
  private closed = true;
  private broken = false;
  private widths = new Float32Array(0);
  private kinds = new Uint8Array(0);
  private readonly cut = new Map<number, Cell[]>();

  constructor(
    private readonly store: Store,
    private readonly measure: (text: string) => number,
    private readonly spell: (stretch: Fragment) => string,
  ) {}

  get done(): boolean {
    return this.next >= this.store.count;
  }

  /** How many lines there will be, as far as can be told. */
  get expected(): number {
    return this.done ? this.lines : Math.ceil((this.lines * this.store.count) / Math.max(this.next, 1));
  }

  /** Begin again: the width has changed, or what is drawn. */
  reset(width: number): void {
    this.width = width;
    this.widths = new Float32Array(0);
    this.cut.clear();
    this.lines = 1;
    this.back(0);
  }

  /** Rows from a token on are new; gives the first line that must be drawn again. */
  renew(first: number): number {
    // At the end nothing that stands moves, but a text drawn in place of half a character may have changed.
    if (first >= this.next) return Math.max(0, this.lines - 1);
    let line = this.lineOf(first);
    while (line > 0 && (this.cell(line) > 0 || this.token(line) > first)) line--;
    this.lines = line + 1;
    this.back(this.token(line));
    return line;
  }

  /** Lay out tokens up to one of them, or until a time has come. */
  extend(until: number, deadline = Number.POSITIVE_INFINITY): void {
    const { textAt, count } = this.store;
    const last = Math.min(count, until);
    let looked = 0;
    while (this.next < last) {
      const token = this.next;
      const text = textAt[token] ?? 0;
      if (text >= this.kinds.length || Number.isNaN(this.widths[text] ?? Number.NaN)) this.prepare(text);
      const kind = this.kinds[text] ?? 0;
      if (kind & MANY) {
        const cells = this.cut.get(text) ?? [];
        for (let at = 0; at < cells.length; at++) {
          const { width, breaks, shown } = cells[at] as Cell;
          const opens = at ? CLOSES.test(cells[at - 1]?.shown ?? "") : (kind & OPEN) !== 0;
          this.place(token, at, width, opens, CLOSES.test(shown), HANGS.test(shown));
          this.broken = breaks;
        }
      } else {
        const wide = this.widths[text] ?? 0;
        this.place(token, 0, wide, (kind & OPEN) !== 0, (kind & CLOSED) !== 0, (kind & HUNG) !== 0);
      }
      this.next = token + 1;
      if (++looked % 2048 === 0 && performance.now() > deadline) return;
    }
  }

  /** The token that a line begins with, and which of its cells. */
  token(line: number): number {
    return line >= this.lines ? this.next : (this.tokens[line] ?? 0);
  }
  cell(line: number): number {
    return line >= this.lines ? 0 : (this.cellsAt[line] ?? 0);
  }

  /** The line on which a token begins, by bisection. */
  lineOf(token: number): number {
    let low = 0;
    let high = this.lines - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const at = this.tokens[middle] ?? 0;
      if (at < token || (at === token && this.cellsAt[middle] === 0)) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Go through the cells of a line from its beginning. */
  *on(line: number): Generator<{ token: number; at: number; cell: Cell }> {
    const lastToken = this.token(line + 1);
    const lastCell = this.cell(line + 1);
    let at = this.cell(line);
    for (let token = this.token(line); token < lastToken || (token === lastToken && at < lastCell); token++) {
      const cells = this.cells(token);
      const end = token === lastToken ? lastCell : cells.length;
      for (; at < end; at++) yield { token, at, cell: cells[at] as Cell };
      at = 0;
    }
  }

  /** The token on a line that is nearest to a distance from its beginning. */
  nearest(line: number, left: number): number {
    let found = this.token(line);
    let reached = 0;
    for (const { token, cell } of this.on(line)) {
      found = token;
      reached += cell.width;
      if (reached > left) break;
    }
    return found;
  }

  /** How far a token's middle is from the beginning of its line. */
  middle(token: number): number {
    let left = 0;
    for (const one of this.on(this.lineOf(token))) {
      if (one.token === token) return left + one.cell.width / 2;
      left += one.cell.width;
    }
    return left;
  }

  /** What a token is drawn as. */
  cells(token: number): Cell[] {
    const text = this.store.textAt[token] ?? 0;
    if (text >= this.kinds.length || Number.isNaN(this.widths[text] ?? Number.NaN)) this.prepare(text);
    const many = this.cut.get(text);
    if (many) return many;
    const stretch = this.store.text(text).fragments[0] as Fragment;
    return [{ ...stretch, shown: this.spell(stretch), width: this.widths[text] ?? 0 }];
  }

  private prepare(text: number): void {
    if (text >= this.widths.length) {
      const size = Math.max(text + 1, this.widths.length * 2, 1024);
      const widths = new Float32Array(size).fill(Number.NaN);
      widths.set(this.widths);
      const kinds = new Uint8Array(size);
      kinds.set(this.kinds.subarray(0, this.widths.length));
      this.widths = widths;
      this.kinds = kinds;
    }
    const { fragments: stretches } = this.store.text(text);
    const cells: Cell[] = [];
    for (const stretch of stretches) {
      const shown = this.spell(stretch);
      const width = this.measure(shown);
      const whole = { ...stretch, shown };
      if (width > this.width && shown.length > 1) cells.push(...cut(whole, this.width, this.measure));
      else cells.push({ ...whole, width });
    }
    const all = cells.map((cell) => cell.shown).join("");
    this.widths[text] = cells.reduce((sum, cell) => sum + cell.width, 0);
    this.kinds[text] =
      (OPENS.test(all) ? OPEN : 0) | (CLOSES.test(all) ? CLOSED : 0) | (HANGS.test(all) ? HUNG : 0);
    if (cells.length !== 1 || cells[0]?.breaks) {
      this.kinds[text] = (this.kinds[text] ?? 0) | MANY;
      this.cut.set(text, cells);
    }
  }

  private place(
    token: number,
    cell: number,
    wide: number,
    opens: boolean,
    closes: boolean,
    hangs: boolean,
  ): void {
    if (this.broken) this.start(token, cell);
    const line = this.lines - 1;
    let begins = this.tokens[line] === token && this.cellsAt[line] === cell;
    if (!begins && !hangs && (opens || this.closed)) {
      this.cutToken = token;
      this.cutCell = cell;
      this.usedAtCut = this.used;
    }
    // Twice, where what is carried over from the last word is itself too long.
    while (!begins && this.used + wide > this.width) {
      if (this.cutToken >= 0) {
        const left = this.used - this.usedAtCut;
        begins = this.cutToken === token && this.cutCell === cell;
        this.start(this.cutToken, this.cutCell);
        this.used = left;
      } else {
        this.start(token, cell);
        begins = true;
      }
    }
    this.used += wide;
    this.closed = closes;
  }

  private start(token: number, cell: number): void {
    if (this.lines === this.tokens.length) {
      const grow = (old: Uint32Array) => {
        const larger = new Uint32Array(old.length * 2);
        larger.set(old);
        return larger;
      };
      this.tokens = grow(this.tokens);
      this.cellsAt = grow(this.cellsAt);
    }
    this.tokens[this.lines] = token;
    this.cellsAt[this.lines] = cell;
    this.lines++;
    this.used = 0;
    this.cutToken = -1;
    this.broken = false;
  }

  private back(token: number): void {
    this.next = token;
    this.tokens[this.lines - 1] = token;
    this.cellsAt[this.lines - 1] = 0;
    this.used = 0;
    this.cutToken = -1;
    this.closed = true;
    this.broken = false;
  }
}
