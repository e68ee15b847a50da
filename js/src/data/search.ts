// Searches the texts of completions, and finds their surprises: the tokens whose probability is below a threshold. Works in
// small steps, so that the caller can pause between them; touches no element.

import { lastAtMost, partitionPoint } from "./columns.ts";
import type { Store, TokenRef } from "./store.ts";

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

  /** The next match after a token, or the previous one before it; without a token the first one, or the last. */
  next(token: number | null, by: 1 | -1): Match | undefined {
    const { matches } = this;
    if (token === null) return by > 0 ? matches[0] : matches.at(-1);
    return matches[by > 0 ? this.#countUpTo(token) : this.#countUpTo(token - 1) - 1];
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

/** The matches of a query in several texts, one text after the other. */
export class Searches {
  readonly #searches: Search[];

  constructor(stores: readonly Store[], query: string) {
    this.#searches = stores.map((store) => new Search(store, query));
  }

  get done(): boolean {
    return this.#searches.every((search) => search.done);
  }

  /** The number of matches in the first texts; by default in all. */
  count(sides = this.#searches.length): number {
    return this.#searches.slice(0, sides).reduce((sum, search) => sum + search.matches.length, 0);
  }

  /** True if a token is part of a match. */
  has({ side, token }: TokenRef): boolean {
    return this.#searches[side]?.has(token) ?? false;
  }

  /** Tokens of all texts from `first` on have changed. */
  invalidate(first: number): void {
    for (const search of this.#searches) search.invalidate(first);
  }

  *run(): Generator<void> {
    for (const search of this.#searches) yield* search.run();
  }

  /** The first token of the next match after a token, or of the previous one before it; wraps around. */
  nearest(from: TokenRef | null, by: 1 | -1): TokenRef | null {
    const sides = this.#searches.length;
    const start = from?.side ?? (by > 0 ? 0 : sides - 1);
    for (let step = 0; step <= sides; step++) {
      const side = (start + by * step + sides) % sides;
      const match = this.#searches[side]?.next(step ? null : (from?.token ?? null), by);
      if (match) return { side, token: match[0] };
    }
    return null;
  }

  /** The index of the match that begins with a token; null if none does. */
  indexOf({ side, token }: TokenRef): number | null {
    const index = this.#searches[side]?.indexOf(token) ?? null;
    return index === null ? null : this.count(side) + index;
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
export function countSurprises(store: Store, threshold: number, first = 0, end = store.count): number {
  const limit = logThreshold(threshold);
  let count = 0;
  const { logprob } = store;
  for (let token = first; token < end; token++) if ((logprob[token] ?? Number.NaN) < limit) count++;
  return count;
}

/** The `size` least probable tokens of texts below a threshold, the most surprising first. */
export function mostSurprising(stores: readonly Store[], threshold: number, size: number): TokenRef[] {
  const refs: TokenRef[] = [];
  let limit = logThreshold(threshold);
  const logprobOf = (ref?: TokenRef) => (ref && stores[ref.side]?.logprob[ref.token]) ?? 0;
  stores.forEach((store, side) => {
    for (let token = 0; token < store.count; token++) {
      const logprob = store.logprob[token] ?? 0;
      if (!(logprob < limit)) continue;
      let index = refs.length;
      while (index > 0 && logprobOf(refs[index - 1]) > logprob) index--;
      refs.splice(index, 0, { side, token });
      if (refs.length > size) {
        refs.pop();
        limit = Math.min(limit, logprobOf(refs[size - 1]));
      }
    }
  });
  return refs;
}
