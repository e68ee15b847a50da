// Searches the text of a completion, and finds its surprises: the tokens whose probability is below a threshold. Works in
// small steps, so that the caller can pause between them; touches no element.

import { lastAtMost, partitionPoint } from "./columns.ts";
import type { Store } from "./store.ts";

/** Tokens to read between two pauses. */
const STEP = 4096;

/** The first and the last token of an occurrence of the query. */
export type Match = [first: number, last: number];

/** Fold the case of a text without changing its length, because offsets must stay valid. */
export function foldCase(text: string): string {
  let lower = text.toLowerCase();
  if (lower.length !== text.length) {
    // Keep the letters that would become longer, and fold the others.
    lower = Array.from(text, (letter) => {
      const folded = letter.toLowerCase();
      return folded.length === letter.length ? folded : letter;
    }).join("");
  }
  // Sigma has another form at the end of a word, and a token may end in the middle of one.
  return lower.replaceAll("ς", "σ");
}

/** The matches of a query, in order and without overlaps. A match may span several tokens. */
export class Search {
  matches: Match[] = [];
  readonly #query: string;
  #nextToken = 0;
  /** In characters from the beginning of the text: how much is read, and where the last match ends. */
  #readLength = 0;
  #matchEnd = 0;

  constructor(
    private readonly store: Store,
    query: string,
  ) {
    this.#query = foldCase(query);
  }

  get done(): boolean {
    return !this.#query || this.#nextToken >= this.store.count;
  }

  /** True if a token is part of a match. */
  has(token: number): boolean {
    const match = this.matches[this.#countUpTo(token) - 1];
    return match !== undefined && token <= match[1];
  }

  /** Tokens from `first` on have changed. */
  invalidate(first: number): void {
    if (first >= this.#nextToken) return;
    this.matches = [];
    this.#nextToken = this.#readLength = this.#matchEnd = 0;
  }

  *run(): Generator<void> {
    while (!this.done) {
      this.#step();
      yield;
    }
  }

  #step(): void {
    const last = Math.min(this.store.count, this.#nextToken + STEP);
    // A match may begin before this step: read the end of the previous step again.
    let first = this.#nextToken;
    let overlap = 0;
    while (first > 0 && overlap < this.#query.length - 1) overlap += this.store.source(--first).length;
    const starts: number[] = [];
    let text = "";
    for (let token = first; token < last; token++) {
      starts.push(text.length);
      text += foldCase(this.store.source(token));
    }
    const base = this.#readLength - overlap;
    let offset = text.indexOf(this.#query, Math.max(0, this.#matchEnd - base));
    while (offset >= 0) {
      const end = offset + this.#query.length;
      this.matches.push([first + lastAtMost(starts, offset), first + lastAtMost(starts, end - 1)]);
      this.#matchEnd = base + end;
      offset = text.indexOf(this.#query, end);
    }
    this.#nextToken = last;
    this.#readLength = base + text.length;
  }

  /** The next match after a token, or the previous one before it; wraps around. */
  nearest(token: number | null, by: 1 | -1): Match | null {
    const { matches } = this;
    const last = matches[matches.length - 1] ?? null;
    if (by > 0) return matches[token === null ? 0 : this.#countUpTo(token)] ?? matches[0] ?? null;
    return (token === null ? last : matches[this.#countUpTo(token - 1) - 1]) ?? last;
  }

  /** The index of the first match that begins with a token; null if none does. */
  indexOf(token: number): number | null {
    const index = this.#countUpTo(token - 1);
    return this.matches[index]?.[0] === token ? index : null;
  }

  /** The number of matches that begin at a token or before it. */
  #countUpTo(token: number): number {
    return partitionPoint(this.matches.length, (index) => (this.matches[index] as Match)[0] <= token);
  }
}

/** A threshold as a log-probability, rounded as log-probabilities are: a token equal to it is not below it. */
function logThreshold(threshold: number): number {
  return Math.fround(Math.log(threshold));
}

/** The next token below a threshold, or the previous one; wraps around. */
export function nextSurprise(
  store: Store,
  threshold: number,
  from: number | null,
  by: 1 | -1,
): number | null {
  const { count, logprob } = store;
  const limit = logThreshold(threshold);
  const start = from ?? (by > 0 ? -1 : count);
  for (let step = 1; step <= count; step++) {
    const token = (((start + by * step) % count) + count) % count;
    if ((logprob[token] ?? Number.NaN) < limit) return token;
  }
  return null;
}

/** The number of tokens below a threshold, from `first` on. */
export function countSurprises(store: Store, threshold: number, first = 0): number {
  const limit = logThreshold(threshold);
  let count = 0;
  for (let token = first; token < store.count; token++)
    if ((store.logprob[token] ?? Number.NaN) < limit) count++;
  return count;
}

/** The `size` least probable tokens below a threshold, the most surprising first. */
export function mostSurprising(store: Store, threshold: number, size: number): number[] {
  const tokens: number[] = [];
  let limit = logThreshold(threshold);
  const logprobOf = (token: number) => store.logprob[token] ?? 0;
  for (let token = 0; token < store.count; token++) {
    if (!(logprobOf(token) < limit)) continue;
    let index = tokens.length;
    while (index > 0 && logprobOf(tokens[index - 1] ?? 0) > logprobOf(token)) index--;
    tokens.splice(index, 0, token);
    if (tokens.length > size) {
      tokens.pop();
      limit = Math.min(limit, logprobOf(tokens[size - 1] ?? 0));
    }
  }
  return tokens;
}
