// The responses of a comparison, and how their texts are aligned. deluge_nb/logprobs/alignment.py computes the alignment
// and deluge_nb/widget/compare_codec.py packs it; this module only looks things up in it.
//
// Responses are numbered by their side, from 0 on. Each is compared with the first one: the two are a pair, and are cut into
// spans, counted through all pairs. A unit is a part of the text that starts and ends at a token in all responses.

import { type Block, type Column, unpack } from "../data/codec.ts";
import { lastAtMost } from "../data/columns.ts";
import { type DataRequest, Store, type TokenRef } from "../data/store.ts";

export type { TokenRef };

/** Share of common text under which differences are no use as the colour. */
const LITTLE = 0.2;

/** The spans of the first response with another one. */
interface Pair {
  /** The first token of each span in the first response, and in the other. */
  a: Column;
  b: Column;
  common: Column;
  /** The log-probability of a common text in the first response minus that in the other: nats; NaN for other spans. */
  difference: Float32Array;
  /** The number of the pair's first span. */
  firstSpan: number;
}

/** Tokens, `to` excluded. */
export type Range = [from: number, to: number];

export class Alignment {
  readonly stores: Store[] = [];
  /** For each response: the first token of each unit, and at the end the number of its tokens. */
  readonly units: Column[] = [];
  /** For each unit: whether all responses share its text. */
  readonly common: Column;
  /** The difference with the strongest colour, in nats, and the steps of the legend. */
  readonly cap: number;
  readonly steps: [text: string, value: number][];
  /** For each pair: the span where the texts diverge, and how much the distributions differ there (nats). */
  readonly partings: ({ span: number; js: number | null } | null)[];
  readonly #pairs: Pair[] = [];

  constructor(
    sides: number,
    data: DataView,
    alignment: DataView,
    request: (side: number, content: DataRequest) => void,
    silence?: () => string,
  ) {
    const { columns } = unpack(data);
    for (let side = 0; side < sides; side++) {
      const blockOf = (name: string): DataView | null => {
        const column = columns[`${name}${side}`];
        return column ? new DataView(column.buffer, column.byteOffset, column.byteLength) : null;
      };
      const store = new Store((content) => request(side, content), blockOf("data") as DataView, silence);
      const alternatives = blockOf("alternatives");
      const measures = blockOf("measures");
      if (alternatives) store.deferAlternatives(alternatives);
      if (measures) store.receiveMeasures(unpack(measures));
      this.stores.push(store);
    }
    const block = unpack(alignment);
    this.cap = block.fields["cap"] as number;
    this.steps = block.fields["steps"] as [string, number][];
    this.partings = block.fields["partings"] as Alignment["partings"];
    this.common = block.columns["common"] as Column;
    let firstSpan = 0;
    for (let side = 0; side < sides; side++) {
      this.units.push(block.columns[`units${side}`] as Column);
      if (!side) continue;
      const index = side - 1;
      const pair = {
        a: block.columns[`a${index}`] as Column,
        b: block.columns[`b${index}`] as Column,
        common: block.columns[`common${index}`] as Column,
        difference: block.columns[`difference${index}`] as Float32Array,
        firstSpan,
      };
      firstSpan += pair.a.length;
      this.#pairs.push(pair);
    }
  }

  get sides(): number {
    return this.stores.length;
  }

  /** Why measures that are missing do not come; empty while they may, or if none are missing. */
  get silence(): string {
    return this.stores.find((store) => !store.isMeasured(store.count - 1))?.silence() ?? "";
  }

  /** Add data that has arrived for a response. */
  receive(side: number, part: string, block: Block): void {
    if (part === "alternatives") this.stores[side]?.receiveAlternatives(block);
    else if (part === "measures") this.stores[side]?.receiveMeasures(block);
  }

  /** The number of tokens of a response. */
  count(side: number): number {
    return this.stores[side]?.count ?? 0;
  }

  /** The unit of a token. */
  unitOf({ side, token }: TokenRef): number {
    // A unit without tokens of this response starts where the next one does; the last of those has the token.
    return Math.min(lastAtMost(this.units[side] as Column, token), this.common.length - 1);
  }

  /** The span of a token in its own pair. */
  spanOf({ side, token }: TokenRef): number {
    const pair = this.#pairOf(side);
    return pair.firstSpan + lastAtMost(side ? pair.b : pair.a, token);
  }

  /** The span that compares a token with another response; null if the two responses are not compared. */
  spanWith(ref: TokenRef, side: number): number | null {
    if (ref.side === 0) {
      const pair = this.#pairOf(side);
      return pair.firstSpan + lastAtMost(pair.a, ref.token);
    }
    return side === 0 || side === ref.side ? this.spanOf(ref) : null;
  }

  isCommon(ref: TokenRef): boolean {
    return this.isCommonSpan(this.spanOf(ref));
  }

  isCommonSpan(span: number): boolean {
    const pair = this.#pairs.findLast((candidate) => candidate.firstSpan <= span);
    return pair?.common[span - pair.firstSpan] === 1;
  }

  /** The log-probability of a token's span in its response minus that in the other: nats; NaN if it is only here. */
  difference(ref: TokenRef): number {
    const pair = this.#pairOf(ref.side);
    const difference = pair.difference[this.spanOf(ref) - pair.firstSpan] ?? Number.NaN;
    return ref.side ? -difference : difference;
  }

  /** The other response of a span's pair, and the span's tokens in the first response and in the other. */
  rangesOf(span: number): { other: number; a: Range; b: Range } {
    const index = this.#pairs.findLastIndex((pair) => pair.firstSpan <= span);
    const pair = this.#pairs[Math.max(0, index)] as Pair;
    const row = span - pair.firstSpan;
    return {
      other: Math.max(0, index) + 1,
      a: [pair.a[row] ?? 0, pair.a[row + 1] ?? this.count(0)],
      b: [pair.b[row] ?? 0, pair.b[row + 1] ?? this.count(index + 1)],
    };
  }

  /** A span's tokens in a response. */
  rangeIn(span: number, side: number): Range {
    const { other, a, b } = this.rangesOf(span);
    return side === 0 ? a : side === other ? b : [0, 0];
  }

  /** The tokens of another response that stand opposite; null if it has none, or its tokens have other ends. */
  opposite(side: number, [from, to]: Range, other: number): Range | null {
    const [own, theirs] = [this.units[side] as Column, this.units[other] as Column];
    const first = this.unitOf({ side, token: from });
    const end = this.unitOf({ side, token: to - 1 }) + 1;
    if (own[first] !== from || own[end] !== to) return null;
    const tokens: Range = [theirs[first] ?? 0, theirs[end] ?? 0];
    return tokens[1] > tokens[0] ? tokens : null;
  }

  /** The first token of a span: in the first response if the span has any there, else in the other. */
  firstToken(span: number): TokenRef {
    const { other, a, b } = this.rangesOf(span);
    return a[1] > a[0] ? { side: 0, token: a[0] } : { side: other, token: b[0] };
  }

  /** The next or previous span of a response's pair that counts as a difference; null if there is none. */
  nextDifference(side: number, span: number | null, by: 1 | -1, threshold: number): number | null {
    const pair = this.#pairOf(side);
    const size = pair.a.length;
    for (
      let row = span === null ? (by > 0 ? 0 : size - 1) : span - pair.firstSpan + by;
      row >= 0 && row < size;
      row += by
    ) {
      if (!pair.common[row] || Math.abs(pair.difference[row] ?? 0) > threshold) return pair.firstSpan + row;
    }
    return null;
  }

  /** The number of differences of a response's pair: spans with other text, or with a difference above the threshold. */
  countDifferences(side: number, threshold: number): number {
    const pair = this.#pairOf(side);
    let count = 0;
    pair.common.forEach((common, row) => {
      if (!common || Math.abs(pair.difference[row] ?? 0) > threshold) count++;
    });
    return count;
  }

  /** True if differences say nothing, because hardly any text is common; as in deluge_nb/render/comparison.py. */
  get hasLittleInCommon(): boolean {
    return this.stores.slice(1).every((_, index) => this.commonShare(index + 1) < LITTLE);
  }

  /** The share of a pair's tokens that are in common text. */
  commonShare(side: number): number {
    const pair = this.#pairOf(side);
    const other = Math.max(side, 1);
    let tokens = 0;
    for (let row = 0; row < pair.common.length; row++) {
      if (!pair.common[row]) continue;
      tokens += (pair.a[row + 1] ?? this.count(0)) - (pair.a[row] ?? 0);
      tokens += (pair.b[row + 1] ?? this.count(other)) - (pair.b[row] ?? 0);
    }
    const all = this.count(0) + this.count(other);
    return all ? tokens / all : 1;
  }

  /** The pair of a response. The first response takes part in all pairs; for it, this is the first pair. */
  #pairOf(side: number): Pair {
    return this.#pairs[Math.max(side - 1, 0)] as Pair;
  }
}
