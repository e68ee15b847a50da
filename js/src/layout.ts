// Which fragments stand on which line. Pure: widths go in, lines come out.

import { BREAKS, type Tokens } from "./columns.ts";

// Where a word may begin: at such a fragment, or after one.
const OPENS = /^[\s·⇥]/;
const CLOSES = /[\s\-–—/]$/;

/** The first fragment of each line, and at the end the number of fragments. */
export function breakLines(
  count: number,
  width: number,
  widthOf: (fragment: number) => number,
  breaksAfter: (fragment: number) => boolean,
  mayBreakBefore: (fragment: number) => boolean,
): Uint32Array {
  const starts: number[] = [0];
  let start = 0;
  let used = 0;
  // Where the line can be cut without cutting a word, and how wide it is up to there.
  let cut = -1;
  let usedAtCut = 0;
  for (let fragment = 0; fragment < count; fragment++) {
    const wide = widthOf(fragment);
    if (fragment > start && mayBreakBefore(fragment)) {
      cut = fragment;
      usedAtCut = used;
    }
    // Twice, where what is carried over from the last word is itself too long.
    while (fragment > start && used + wide > width) {
      if (cut > start) {
        used -= usedAtCut;
        start = cut;
      } else {
        used = 0;
        start = fragment;
      }
      starts.push(start);
      cut = -1;
    }
    used += wide;
    if (breaksAfter(fragment) && fragment + 1 < count) {
      start = fragment + 1;
      used = 0;
      cut = -1;
      starts.push(start);
    }
  }
  starts.push(count);
  return Uint32Array.from(count ? starts : [0, 0]);
}

/** The line of a fragment, by bisection. */
export function lineOf(starts: Uint32Array, fragment: number): number {
  let low = 0;
  let high = starts.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= fragment) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The first fragment of a token, by bisection: fragments are in the order of their tokens. */
export function fragmentOf(owner: Uint32Array, token: number): number {
  let low = 0;
  let high = owner.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((owner[middle] ?? 0) < token) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Lays tokens out; each distinct text is measured once. */
export class Layout {
  starts: Uint32Array = Uint32Array.of(0, 0);
  private readonly widths: Float32Array;
  private readonly opens: Uint8Array;
  private readonly closes: Uint8Array;

  constructor(
    private readonly tokens: Tokens,
    private readonly measure: (text: string) => number,
  ) {
    this.widths = new Float32Array(tokens.shown.length).fill(Number.NaN);
    this.opens = Uint8Array.from(tokens.shown, (text) => (OPENS.test(text) ? 1 : 0));
    this.closes = Uint8Array.from(tokens.shown, (text) => (CLOSES.test(text) ? 1 : 0));
  }

  get lines(): number {
    return this.starts.length - 1;
  }

  widthOf(fragment: number): number {
    const shown = this.tokens.shownAt[fragment] ?? 0;
    let width = this.widths[shown] ?? 0;
    if (Number.isNaN(width)) {
      width = this.measure(this.tokens.shown[shown] ?? "");
      this.widths[shown] = width;
    }
    return width;
  }

  fit(width: number): void {
    const { owner, shownAt, flags } = this.tokens;
    this.starts = breakLines(
      owner.length,
      width,
      (fragment) => this.widthOf(fragment),
      (fragment) => ((flags[fragment] ?? 0) & BREAKS) !== 0,
      (fragment) => this.opens[shownAt[fragment] ?? 0] === 1 || this.closes[shownAt[fragment - 1] ?? 0] === 1,
    );
  }

  /** The fragment on a line that is nearest to a distance from the left. */
  at(line: number, left: number): number {
    const first = this.starts[line] ?? 0;
    const last = (this.starts[line + 1] ?? 0) - 1;
    let reached = 0;
    for (let fragment = first; fragment < last; fragment++) {
      reached += this.widthOf(fragment);
      if (reached > left) return fragment;
    }
    return Math.max(first, last);
  }

  /** How far a fragment's middle is from the left of its line. */
  middle(fragment: number): number {
    let left = 0;
    for (let one = this.starts[lineOf(this.starts, fragment)] ?? 0; one < fragment; one++) {
      left += this.widthOf(one);
    }
    return left + this.widthOf(fragment) / 2;
  }
}
