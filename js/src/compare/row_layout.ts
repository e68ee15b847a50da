// Which tokens stand on which row. A row has the same text of every response: lines are broken together where all of
// them can be, and what only some have goes on by itself until they meet again.

import type { Store } from "../data/store.ts";
import { BREAK_AFTER, BREAK_BEFORE, type Cell, type Layout, NO_BREAK_BEFORE } from "../text/layout.ts";
import type { Comparison } from "./alignment.ts";

/** So many tokens of a response are laid out before it is asked whether there is time for more. */
const STEP = 2048;
/** So many units are tried to be kept together. */
const LONGEST = 64;

/** What a text is drawn as. */
interface Piece {
  cells: Cell[];
  width: number;
  opens: boolean;
  closes: boolean;
  hangs: boolean;
  /** Whether a line ends after it, or already within. */
  breaks: boolean;
  broken: boolean;
}

/** Where the lines of one response begin, and where the last of them ends so far. */
class Flow {
  tokens = new Uint32Array(256);
  cellsAt = new Uint32Array(256);
  row = 0;
  used = 0;
  closed = true;
  broken = false;
  /** The first token that is not laid out. */
  next = 0;
  private cut = -1;
  private cutCell = 0;
  private usedAtCut = 0;
  private readonly pieces = new Map<number, Piece>();

  constructor(
    readonly store: Store,
    private readonly layout: Layout,
  ) {}

  reset(width: number): void {
    this.layout.reset(width);
    this.pieces.clear();
    this.row = this.used = this.next = 0;
    this.tokens[0] = this.cellsAt[0] = 0;
    this.closed = true;
    this.broken = false;
    this.cut = -1;
  }

  piece(token: number): Piece {
    const text = this.store.textAt[token] ?? 0;
    const known = this.pieces.get(text);
    if (known) return known;
    const cells = this.layout.cellsOf(token);
    const all = cells.map((cell) => cell.shown).join("");
    const made = {
      cells,
      width: cells.reduce((sum, cell) => sum + cell.width, 0),
      opens: BREAK_BEFORE.test(all),
      closes: BREAK_AFTER.test(all),
      hangs: NO_BREAK_BEFORE.test(all),
      breaks: cells.at(-1)?.breaks ?? false,
      broken: cells.length > 1,
    };
    this.pieces.set(text, made);
    return made;
  }

  /** Begin a row with a token, or with one of its cells. */
  start(token: number, cell = 0): void {
    this.row++;
    if (this.row === this.tokens.length) {
      const grow = (old: Uint32Array) => {
        const larger = new Uint32Array(old.length * 2);
        larger.set(old);
        return larger;
      };
      this.tokens = grow(this.tokens) as Uint32Array<ArrayBuffer>;
      this.cellsAt = grow(this.cellsAt) as Uint32Array<ArrayBuffer>;
    }
    this.tokens[this.row] = token;
    this.cellsAt[this.row] = cell;
    this.used = 0;
    this.cut = -1;
    this.broken = false;
  }

  /** Put tokens, which fit, on the row. */
  put(to: number): void {
    for (; this.next < to; this.next++) {
      const piece = this.piece(this.next);
      this.used += piece.width;
      this.closed = piece.closes;
      this.broken = piece.breaks;
    }
    this.cut = -1;
  }

  /** Let tokens flow over as many rows as they need, each row no wider than a width. */
  flow(to: number, width: number): void {
    for (; this.next < to; this.next++) {
      const { cells, opens, hangs } = this.piece(this.next);
      for (let at = 0; at < cells.length; at++) {
        const cell = cells[at] as Cell;
        const before = cells[at - 1];
        const free = before
          ? BREAK_AFTER.test(before.shown) || NO_BREAK_BEFORE.test(before.shown)
          : !hangs && (opens || this.closed);
        this.place(this.next, at, cell, free, width);
      }
    }
  }

  private place(token: number, at: number, cell: Cell, free: boolean, width: number): void {
    if (this.broken) this.start(token, at);
    if (free && this.used > 0) {
      this.cut = token;
      this.cutCell = at;
      this.usedAtCut = this.used;
    }
    while (this.used > 0 && this.used + cell.width > width) {
      if (this.cut >= 0) {
        const left = this.used - this.usedAtCut;
        this.start(this.cut, this.cutCell);
        this.used = left;
      } else this.start(token, at);
    }
    this.used += cell.width;
    this.closed = BREAK_AFTER.test(cell.shown);
    this.broken = cell.breaks;
  }
}

export class Rows {
  private flows: Flow[];
  private unit = 0;
  private width = 0;
  private interleaved = false;
  /** Whether each response goes on by itself until the end of a unit. */
  private apart = false;
  /** Lines that are drawn before each row. */
  private above = new Uint32Array(256);
  private counted = 0;

  constructor(
    private readonly comparison: Comparison,
    layouts: Layout[],
  ) {
    this.flows = comparison.stores.map((store, side) => new Flow(store, layouts[side] as Layout));
  }

  get done(): boolean {
    return this.unit >= this.comparison.common.length;
  }

  /** How many rows are whole. */
  get length(): number {
    const rows = this.flows.map((flow) => flow.row);
    return this.done ? Math.max(...rows) + 1 : Math.min(...rows);
  }

  /** How many lines there are above a row: as many as rows, or, interleaved, as many as responses have text there. */
  lines(row: number): number {
    if (!this.interleaved) return row;
    if (this.above.length <= row + 1) {
      const larger = new Uint32Array((row + 1) * 2);
      larger.set(this.above);
      this.above = larger;
    }
    for (; this.counted < row; this.counted++) {
      this.above[this.counted + 1] =
        (this.above[this.counted] ?? 0) + Math.max(1, this.filled(this.counted).length);
    }
    return this.above[row] ?? 0;
  }

  /** How many there will be, as far as can be told. */
  get expected(): { rows: number; lines: number } {
    const rows = this.length;
    const all = this.flows.reduce((sum, flow) => sum + flow.store.count, 0);
    const past = this.flows.reduce((sum, flow) => sum + flow.next, 0);
    const by = this.done ? 1 : all / Math.max(1, past);
    return { rows: Math.ceil(rows * by), lines: Math.ceil(this.lines(rows) * by) };
  }

  /** Begin again, with lines of a width. */
  reset(width: number, interleaved: boolean): void {
    this.width = width;
    this.interleaved = interleaved;
    this.unit = 0;
    this.counted = 0;
    this.apart = false;
    for (const flow of this.flows) flow.reset(width);
  }

  /** Lay out until there are so many rows, or until a token is past. */
  extend(rows: number, side = 0, token = -1): void {
    while (!this.done && (this.length < rows || (this.flows[side]?.next ?? 0) <= token)) this.step();
  }

  /** Lay out a little more. */
  step(): void {
    const { common } = this.comparison;
    let tokens = 0;
    while (this.unit < common.length && tokens < STEP) {
      const units = this.together();
      const ends = this.flows.map((_, side) => this.comparison.units[side]?.[this.unit + units] ?? 0);
      const fits = this.apart ? null : this.fitting(ends);
      if (fits !== null) {
        // A row for all, where one of them is full.
        if (!fits || this.flows.some((flow) => flow.broken)) this.meet(true);
        this.flows.forEach((flow, side) => {
          tokens += (ends[side] ?? 0) - flow.next;
          flow.put(ends[side] ?? 0);
        });
      } else {
        this.flows.forEach((flow, side) => {
          const to = Math.min(ends[side] ?? 0, flow.next + STEP);
          tokens += to - flow.next;
          flow.flow(to, this.width);
        });
        this.apart = this.flows.some((flow, side) => flow.next < (ends[side] ?? 0));
        if (this.apart) return;
        this.meet(false);
      }
      this.unit += units;
    }
  }

  /** The row on which a token begins. */
  rowOf(side: number, token: number): number {
    const { tokens, cellsAt, row } = this.flows[side] as Flow;
    let low = 0;
    let high = Math.min(row, this.length - 1);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const at = tokens[middle] ?? 0;
      if (at < token || (at === token && cellsAt[middle] === 0)) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Go through what a response has on a row. */
  *on(side: number, row: number): Generator<{ token: number; at: number; cell: Cell }> {
    const flow = this.flows[side] as Flow;
    const ends = row >= flow.row;
    const lastToken = ends ? flow.next : (flow.tokens[row + 1] ?? 0);
    const lastCell = ends ? 0 : (flow.cellsAt[row + 1] ?? 0);
    if (row > flow.row) return;
    let at = flow.cellsAt[row] ?? 0;
    let token = flow.tokens[row] ?? 0;
    for (; token < lastToken || (token === lastToken && at < lastCell); token++) {
      const { cells } = flow.piece(token);
      const end = token === lastToken ? lastCell : cells.length;
      for (; at < end; at++) yield { token, at, cell: cells[at] as Cell };
      at = 0;
    }
  }

  /** The responses that have something on a row. */
  filled(row: number): number[] {
    return this.flows.flatMap((_, side) => (this.on(side, row).next().done ? [] : [side]));
  }

  /** The token on a row that is nearest to a distance from its beginning; null where there is none. */
  nearest(side: number, row: number, left: number): number | null {
    let found: number | null = null;
    let reached = 0;
    for (const { token, at, cell } of this.on(side, row)) {
      if (at === 0 || found === null) found = token;
      reached += cell.width;
      if (reached > left) break;
    }
    return found;
  }

  /** How far a token's middle is from the beginning of its row. */
  middle(side: number, token: number): number {
    let left = 0;
    for (const one of this.on(side, this.rowOf(side, token))) {
      if (one.token === token) return left + one.cell.width / 2;
      left += one.cell.width;
    }
    return left;
  }

  /** How many units from here on are parts of one word. */
  private together(): number {
    const { common } = this.comparison;
    let many = 1;
    while (many < LONGEST && this.unit + many < common.length && !this.opens(this.unit + many)) many++;
    return many;
  }

  private opens(unit: number): boolean {
    const { units } = this.comparison;
    let some = false;
    for (let side = 0; side < this.flows.length; side++) {
      const flow = this.flows[side] as Flow;
      const from = units[side]?.[unit] ?? 0;
      if (from === units[side]?.[unit + 1]) continue;
      some = true;
      const piece = flow.piece(from);
      if (piece.hangs) return false;
      if (piece.opens || from === 0) continue;
      const before = flow.piece(from - 1);
      if (!before.closes && !before.breaks) return false;
    }
    return some;
  }

  /** Whether tokens fit on the row that all are on; null where they would not fit on a row of their own either. */
  private fitting(ends: number[]): boolean | null {
    let fits = true;
    for (let side = 0; side < this.flows.length; side++) {
      const flow = this.flows[side] as Flow;
      const end = ends[side] ?? 0;
      let wide = 0;
      for (let token = flow.next; token < end; token++) {
        const piece = flow.piece(token);
        wide += piece.width;
        if (wide > this.width || piece.broken || (piece.breaks && token < end - 1)) return null;
      }
      if (flow.used + wide > this.width) fits = false;
    }
    return fits;
  }

  /** Let all go on from one row: the last that any has reached, or a new one. */
  private meet(anew: boolean): void {
    const row = Math.max(...this.flows.map((flow) => flow.row)) + (anew ? 1 : 0);
    for (const flow of this.flows) {
      // What it has on its last row stays there; the rows between are empty.
      while (flow.row < row) flow.start(flow.next);
    }
  }
}
