// Sums the log-probabilities of all tokens or of a range, and describes the result as text.

import { formatPerplexity, percent, pluralize } from "./format.ts";
import type { Store } from "./store.ts";

/** Tokens to add up between two pauses; about a millisecond of work. */
const STEP = 65_536;

/** The summary of all tokens, added up a little at a time. */
export class Summary {
  #sum = 0;
  #known = 0;
  #nextToken = 0;

  constructor(private readonly store: Store) {}

  get done(): boolean {
    return this.#nextToken >= this.store.count;
  }

  /** Tokens from `first` on have changed. */
  invalidate(first: number): void {
    if (first < this.#nextToken) this.#sum = this.#known = this.#nextToken = 0;
  }

  *run(): Generator<void> {
    while (!this.done) {
      const end = Math.min(this.store.count, this.#nextToken + STEP);
      const [sum, known] = sumLogprobs(this.store, this.#nextToken, end);
      this.#sum += sum;
      this.#known += known;
      this.#nextToken = end;
      yield;
    }
  }

  /** The summary as text. The perplexity appears once all tokens are added up. */
  get text(): string {
    const facts = [pluralize(this.store.count)];
    if (this.#known && this.done) {
      facts.push(formatPerplexity(this.#sum, this.#known, this.store.count));
    }
    return facts.join(" · ");
  }
}

/** Describe a range of tokens: their number, probability and perplexity. */
export function describeRange(store: Store, [start, stop]: [number, number]): string {
  const [sum, known] = sumLogprobs(store, start, stop);
  const facts = [`tokens ${start + 1} to ${stop}: ${pluralize(stop - start)}`];
  if (known) {
    // The tokens of unknown probability can only lower the sum.
    const bound = known < stop - start ? "≤ " : "";
    facts.push(
      `logprob ${bound}${sum.toFixed(3)} nats`,
      `probability ${bound}${percent(Math.exp(sum))}`,
      formatPerplexity(sum, known, stop - start),
    );
  }
  return facts.join(" · ");
}

/** Add up the known log-probabilities from `start` to before `stop`: the sum in nats, and how many are known. */
export function sumLogprobs(
  store: { logprob: ArrayLike<number> },
  start: number,
  stop: number,
): [sum: number, known: number] {
  let sum = 0;
  let known = 0;
  for (let token = start; token < stop; token++) {
    const logprob = store.logprob[token] ?? Number.NaN;
    if (Number.isNaN(logprob)) continue;
    sum += logprob;
    known++;
  }
  return [sum, known];
}
