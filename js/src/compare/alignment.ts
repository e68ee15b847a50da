// Responses and how they are aligned: the other side of deluge_nb/logprobs/alignment.py.

import { type Block, type Column, unpack } from "../data/codec.ts";
import { Store } from "../data/store.ts";

export const LETTERS = "ABCDEFGH";

/** A token of one of the responses. */
export interface Place {
  side: number;
  token: number;
}

/** The spans of the first response with another one. */
interface Pair {
  a: Column;
  b: Column;
  common: Column;
  /** How much more probable the first calls a common text, nats; NaN elsewhere. */
  difference: Float32Array;
  /** How many spans there are before, in other pairs. */
  before: number;
}

/** Tokens from one to before another. */
export type Range = [from: number, to: number];

/** The last place whose value is not above one that is looked for. */
export function last(values: Column, value: number): number {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((values[middle] ?? 0) <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

export class Comparison {
  readonly stores: Store[] = [];
  /** Per response where each unit begins, and at last the number of its tokens. */
  readonly units: Column[] = [];
  readonly common: Column;
  readonly cap: number;
  readonly steps: [string, number][];
  readonly partings: ({ span: number; js: number | null } | null)[];
  private readonly pairs: Pair[] = [];

  constructor(
    sides: number,
    data: DataView,
    alignment: DataView,
    ask: (side: number, what: { chunk: number } | { measures: true } | { whole: true }) => void,
  ) {
    const { columns } = unpack(data);
    for (let side = 0; side < sides; side++) {
      const part = (name: string): DataView | null => {
        const column = columns[`${name}${side}`];
        return column ? new DataView(column.buffer, column.byteOffset, column.byteLength) : null;
      };
      const store = new Store((what) => ask(side, what), part("data") as DataView);
      const alternatives = part("alternatives");
      const measures = part("measures");
      if (alternatives) store.deferAlternatives(alternatives);
      if (measures) store.receiveMeasures(unpack(measures));
      this.stores.push(store);
    }
    const aligned = unpack(alignment);
    this.cap = aligned.fields["cap"] as number;
    this.steps = aligned.fields["steps"] as [string, number][];
    this.partings = aligned.fields["partings"] as Comparison["partings"];
    this.common = aligned.columns["common"] as Column;
    let before = 0;
    for (let side = 0; side < sides; side++) {
      this.units.push(aligned.columns[`units${side}`] as Column);
      if (!side) continue;
      const at = side - 1;
      const pair = {
        a: aligned.columns[`a${at}`] as Column,
        b: aligned.columns[`b${at}`] as Column,
        common: aligned.columns[`common${at}`] as Column,
        difference: aligned.columns[`difference${at}`] as Float32Array,
        before,
      };
      before += pair.a.length;
      this.pairs.push(pair);
    }
  }

  get sides(): number {
    return this.stores.length;
  }

  /** Take a part that has come. */
  receive(side: number, part: string, block: Block): void {
    if (part === "alternatives") this.stores[side]?.receiveAlternatives(block);
    else if (part === "measures") this.stores[side]?.receiveMeasures(block);
  }

  count(side: number): number {
    return this.stores[side]?.count ?? 0;
  }

  /** The unit that a token is in. */
  unitOf({ side, token }: Place): number {
    // A unit in which a response has nothing begins where the next one does: the last of these has the token.
    return Math.min(last(this.units[side] as Column, token), this.common.length - 1);
  }

  /** A token's span, counted through all pairs. */
  spanOf({ side, token }: Place): number {
    const pair = this.pairOf(side);
    return pair.before + last(side ? pair.b : pair.a, token);
  }

  /** The span that compares a token of one response with another one; null for two that are not compared. */
  spanWith(place: Place, side: number): number | null {
    if (place.side === 0) {
      const pair = this.pairOf(side);
      return pair.before + last(pair.a, place.token);
    }
    return side === 0 || side === place.side ? this.spanOf(place) : null;
  }

  isCommon(place: Place): boolean {
    return this.isCommonSpan(this.spanOf(place));
  }

  isCommonSpan(span: number): boolean {
    const pair = this.pairs.findLast((one) => one.before <= span);
    return pair?.common[span - pair.before] === 1;
  }

  /** How much more probable a response calls a token's span than the other: nats, NaN where it is only there. */
  difference(place: Place): number {
    const pair = this.pairOf(place.side);
    const found = pair.difference[this.spanOf(place) - pair.before] ?? Number.NaN;
    return place.side ? -found : found;
  }

  /** The response that a span compares with the first, and the tokens that it has of each. */
  tokensOf(span: number): { other: number; a: Range; b: Range } {
    const at = this.pairs.findLastIndex((pair) => pair.before <= span);
    const pair = this.pairs[Math.max(0, at)] as Pair;
    const row = span - pair.before;
    return {
      other: Math.max(0, at) + 1,
      a: [pair.a[row] ?? 0, pair.a[row + 1] ?? this.count(0)],
      b: [pair.b[row] ?? 0, pair.b[row + 1] ?? this.count(at + 1)],
    };
  }

  /** The tokens that a span has of a response. */
  within(span: number, side: number): Range {
    const { other, a, b } = this.tokensOf(span);
    return side === 0 ? a : side === other ? b : [0, 0];
  }

  /** The first token of a span, on its first side if it has any there. */
  firstOf(span: number): Place {
    const { other, a, b } = this.tokensOf(span);
    return a[1] > a[0] ? { side: 0, token: a[0] } : { side: other, token: b[0] };
  }

  /** The next span of a response's pair from one on that differs by more than a threshold; null where there is none. */
  nextDifference(side: number, span: number | null, by: 1 | -1, threshold: number): number | null {
    const pair = this.pairOf(side);
    const size = pair.a.length;
    for (
      let at = span === null ? (by > 0 ? 0 : size - 1) : span - pair.before + by;
      at >= 0 && at < size;
      at += by
    ) {
      if (!pair.common[at] || Math.abs(pair.difference[at] ?? 0) > threshold) return pair.before + at;
    }
    return null;
  }

  /** How many spans of a response's pair differ by more than a threshold, those of one side included. */
  countDifferences(side: number, threshold: number): number {
    const pair = this.pairOf(side);
    let many = 0;
    pair.common.forEach((common, at) => {
      if (!common || Math.abs(pair.difference[at] ?? 0) > threshold) many++;
    });
    return many;
  }

  /** The share of the tokens of a pair that are in text that both have. */
  share(side: number): number {
    const pair = this.pairOf(side);
    const other = Math.max(side, 1);
    let tokens = 0;
    for (let at = 0; at < pair.common.length; at++) {
      if (!pair.common[at]) continue;
      tokens += (pair.a[at + 1] ?? this.count(0)) - (pair.a[at] ?? 0);
      tokens += (pair.b[at + 1] ?? this.count(other)) - (pair.b[at] ?? 0);
    }
    const all = this.count(0) + this.count(other);
    return all ? tokens / all : 1;
  }

  private pairOf(side: number): Pair {
    return this.pairs[Math.max(side - 1, 0)] as Pair;
  }
}
