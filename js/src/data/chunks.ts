// Alternatives as they have come, in any order: each chunk those of some tokens in a row.

import type { Column } from "./codec.ts";

export interface Chunk {
  /** The tokens that are looked up here: from one to before another. */
  first: number;
  last: number;
  /** The token of the first row. */
  begins: number;
  starts: Uint32Array;
  labelAt: Column;
  logprob: Float32Array;
}

export class Chunks {
  /** In order, and none over another. */
  private all: Chunk[] = [];

  get length(): number {
    return this.all.length;
  }

  /** The chunk that has a token. */
  at(token: number): Chunk | undefined {
    const chunk = this.all[this.after(token) - 1];
    return chunk && token < chunk.last ? chunk : undefined;
  }

  /** What comes later takes the place of what was there. */
  add(chunk: Chunk): void {
    if (chunk.last <= chunk.first) return;
    const { all } = this;
    let from = this.after(chunk.first);
    const before = all[from - 1];
    const kept: Chunk[] = [];
    if (before && before.last > chunk.first) {
      from--;
      if (before.first < chunk.first) kept.push({ ...before, last: chunk.first });
    }
    let to = from;
    while (to < all.length && (all[to] as Chunk).first < chunk.last) to++;
    const behind = all[to - 1];
    kept.push(chunk);
    if (to > from && behind && behind.last > chunk.last) kept.push({ ...behind, first: chunk.last });
    all.splice(from, to - from, ...kept);
  }

  /** How many chunks begin at a token or before. */
  private after(token: number): number {
    let low = 0;
    let high = this.all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.all[middle] as Chunk).first <= token) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
