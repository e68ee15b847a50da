// What the tokens come to, all of them or a range: log-probability, probability, perplexity.

import { percent } from "./scale.ts";
import type { Store } from "./store.ts";

/** So many tokens are summed before it is asked whether there is time for more. */
const STEP = 65_536;

/** So many of them, in words. */
export function many(count: number, name = "token"): string {
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}

export function perplexity(sum: number, known: number): string {
  return `perplexity ${Math.exp(-sum / known).toPrecision(3)}`;
}

export class Tally {
  private sum = 0;
  private known = 0;
  private next = 0;

  constructor(private readonly store: Store) {}

  get done(): boolean {
    return this.next >= this.store.count;
  }

  /** Tokens from one on are new. */
  renew(first: number): void {
    if (first < this.next) this.sum = this.known = this.next = 0;
  }

  *run(): Generator<void> {
    while (!this.done) {
      const end = Math.min(this.store.count, this.next + STEP);
      const [sum, known] = summed(this.store, this.next, end);
      this.sum += sum;
      this.known += known;
      this.next = end;
      yield;
    }
  }

  /** In words, as far as it is known. */
  get told(): string {
    const told = [many(this.store.count)];
    if (this.known && this.done) told.push(perplexity(this.sum, this.known));
    return told.join(" · ");
  }
}

/** What a range comes to, in words. */
export function toldOf(store: Store, [start, stop]: [number, number]): string {
  const [sum, known] = summed(store, start, stop);
  const told = [`tokens ${start + 1} to ${stop}: ${many(stop - start)}`];
  if (known) {
    told.push(
      `logprob ${sum.toFixed(3)} nats`,
      `probability ${percent(Math.exp(sum))}`,
      perplexity(sum, known),
    );
  }
  return told.join(" · ");
}

/** The sum of the log-probabilities of tokens, and of how many they are known. */
export function summed(
  store: { logprob: ArrayLike<number> },
  start: number,
  stop: number,
): [sum: number, known: number] {
  let sum = 0;
  let known = 0;
  for (let token = start; token < stop; token++) {
    const one = store.logprob[token] ?? Number.NaN;
    if (Number.isNaN(one)) continue;
    sum += one;
    known++;
  }
  return [sum, known];
}
