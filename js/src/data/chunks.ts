// Holds the alternatives of consecutive tokens in chunks, which may arrive in any order and may overlap. The newest chunk
// wins.

import type { Column } from "./codec.ts";
import { partitionPoint } from "./columns.ts";

export interface Chunk {
  /** The tokens that this chunk answers for: from `first` to before `last`. */
  first: number;
  last: number;
  /** The token of row 0; below `first` if a newer chunk has replaced the first rows. */
  firstRow: number;
  /** The start of each row's alternatives in the two columns, and the end of the last row. */
  offsets: Uint32Array;
  labelAt: Column;
  logprob: Float32Array;
}

export class Chunks {
  /** Sorted by token, without overlaps. */
  #chunks: Chunk[] = [];

  get length(): number {
    return this.#chunks.length;
  }

  /** The chunk that holds a token's alternatives. */
  at(token: number): Chunk | undefined {
    const chunk = this.#chunks[this.#countUpTo(token) - 1];
    return chunk && token < chunk.last ? chunk : undefined;
  }

  /** Add a chunk. It replaces what older chunks have for the same tokens. */
  add(chunk: Chunk): void {
    if (chunk.last <= chunk.first) return;
    const chunks = this.#chunks;
    let from = this.#countUpTo(chunk.first);
    const before = chunks[from - 1];
    const replacement: Chunk[] = [];
    if (before && before.last > chunk.first) {
      from--;
      if (before.first < chunk.first) replacement.push({ ...before, last: chunk.first });
    }
    let to = from;
    while (to < chunks.length && (chunks[to] as Chunk).first < chunk.last) to++;
    const lastReplaced = chunks[to - 1];
    replacement.push(chunk);
    if (to > from && lastReplaced && lastReplaced.last > chunk.last)
      replacement.push({ ...lastReplaced, first: chunk.last });
    chunks.splice(from, to - from, ...replacement);
  }

  /** The number of chunks that start at a token or before it. */
  #countUpTo(token: number): number {
    return partitionPoint(this.#chunks.length, (index) => (this.#chunks[index] as Chunk).first <= token);
  }
}
