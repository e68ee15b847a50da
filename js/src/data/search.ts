// Searching the text, and finding the tokens that the model did not expect. Pure, and a little at a time.

import type { Store } from "./store.ts";

const STEP = 4096;

/** Case aside, unless that would change the length: places must stay what they are. */
export function folded(text: string): string {
  let lower = text.toLowerCase();
  if (lower.length !== text.length) {
    // A letter that grows stands for itself; the others still fold.
    lower = Array.from(text, (letter) => {
      const one = letter.toLowerCase();
      return one.length === letter.length ? one : letter;
    }).join("");
  }
  // At the end of a word it has a form of its own, and a token may end where the word goes on.
  return lower.replaceAll("ς", "σ");
}

/** The tokens in which a text occurs: the first and the last of each hit, in order. */
export class Search {
  hits: [number, number][] = [];
  private readonly needle: string;
  private next = 0;
  /** In characters from the beginning of the text: up to where it was read, and where the last hit ended. */
  private read = 0;
  private end = 0;

  constructor(
    private readonly store: Store,
    text: string,
  ) {
    this.needle = folded(text);
  }

  get done(): boolean {
    return !this.needle || this.next >= this.store.count;
  }

  has(token: number): boolean {
    const hit = this.hits[this.upTo(token) - 1];
    return hit !== undefined && token <= hit[1];
  }

  /** Tokens from one on are new. */
  renew(first: number): void {
    if (first >= this.next) return;
    this.hits = [];
    this.next = this.read = this.end = 0;
  }

  *run(): Generator<void> {
    while (!this.done) {
      this.step();
      yield;
    }
  }

  private step(): void {
    const last = Math.min(this.store.count, this.next + STEP);
    // What a hit across the edge begins with is read again.
    let first = this.next;
    let again = 0;
    while (first > 0 && again < this.needle.length - 1) again += this.store.source(--first).length;
    const starts: number[] = [];
    let text = "";
    for (let token = first; token < last; token++) {
      starts.push(text.length);
      text += folded(this.store.source(token));
    }
    const base = this.read - again;
    let place = text.indexOf(this.needle, Math.max(0, this.end - base));
    while (place >= 0) {
      const end = place + this.needle.length;
      this.hits.push([first + lastUpTo(starts, place), first + lastUpTo(starts, end - 1)]);
      this.end = base + end;
      place = text.indexOf(this.needle, end);
    }
    this.next = last;
    this.read = base + text.length;
  }

  /** The hit that follows a token, or precedes it; round the end. */
  nearest(token: number | null, by: 1 | -1): [number, number] | null {
    const { hits } = this;
    const last = hits[hits.length - 1] ?? null;
    if (by > 0) return hits[token === null ? 0 : this.upTo(token)] ?? hits[0] ?? null;
    return (token === null ? last : hits[this.upTo(token - 1) - 1]) ?? last;
  }

  /** The place among the hits of the first that begins with a token; null where none does. */
  placeOf(token: number): number | null {
    const place = this.upTo(token - 1);
    return this.hits[place]?.[0] === token ? place : null;
  }

  /** How many hits begin at a token or before, by bisection. */
  private upTo(token: number): number {
    let low = 0;
    let high = this.hits.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.hits[middle]?.[0] ?? 0) <= token) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The last of ascending numbers that is no larger than a limit, by bisection. */
function lastUpTo(ascending: number[], limit: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((ascending[middle] ?? 0) <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** A threshold as a log-probability, rounded as those are: a token that lies on it is not below it. */
function bar(threshold: number): number {
  return Math.fround(Math.log(threshold));
}

/** The next token below a threshold, or the previous one; round the end. */
export function surprise(store: Store, threshold: number, from: number | null, by: 1 | -1): number | null {
  const { count, logprob } = store;
  const below = bar(threshold);
  const start = from ?? (by > 0 ? -1 : count);
  for (let step = 1; step <= count; step++) {
    const token = (((start + by * step) % count) + count) % count;
    if ((logprob[token] ?? Number.NaN) < below) return token;
  }
  return null;
}

/** How many tokens are below a threshold, from one on. */
export function surprises(store: Store, threshold: number, first = 0): number {
  const below = bar(threshold);
  let found = 0;
  for (let token = first; token < store.count; token++)
    if ((store.logprob[token] ?? Number.NaN) < below) found++;
  return found;
}

/** The least probable tokens below a threshold, the most surprising first. */
export function mostSurprising(store: Store, threshold: number, most: number): number[] {
  const found: number[] = [];
  let below = bar(threshold);
  const at = (token: number) => store.logprob[token] ?? 0;
  for (let token = 0; token < store.count; token++) {
    if (!(at(token) < below)) continue;
    let place = found.length;
    while (place > 0 && at(found[place - 1] ?? 0) > at(token)) place--;
    found.splice(place, 0, token);
    if (found.length > most) {
      found.pop();
      below = Math.min(below, at(found[most - 1] ?? 0));
    }
  }
  return found;
}
