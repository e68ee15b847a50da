// Sums up all tokens or a range of them in the measure that they are coloured by, and describes the result as text.

import { formatPerplexity, percent, pluralize, signed } from "./format.ts";
import type { ColorBy } from "./scale.ts";
import type { Measures, Store } from "./store.ts";

/** Tokens to add up between two pauses; about a millisecond of work. */
const STEP = 65_536;

/** Sums over tokens, of each value over those tokens of which it is known. */
class Sums {
  /** Nats. */
  logprob = 0;
  knownLogprobs = 0;
  /** Bits: the bounds of each entropy. */
  entropy = 0;
  entropyMost = 0;
  knownEntropies = 0;
  count = 0;

  add(store: Store, start: number, stop: number): void {
    const [logprob, known] = sumLogprobs(store, start, stop);
    this.logprob += logprob;
    this.knownLogprobs += known;
    this.count += stop - start;
    const { measures } = store;
    if (!measures) return;
    for (let token = start; token < Math.min(stop, measures.entropy.length); token++) {
      const least = measures.entropy[token] ?? Number.NaN;
      if (Number.isNaN(least)) continue;
      this.entropy += least;
      this.entropyMost += measures.entropyMost[token] ?? Number.NaN;
      this.knownEntropies++;
    }
  }

  /** What the tokens add up to, in the measure of a scale; empty if nothing is known. */
  describe(colorBy: ColorBy): string {
    if (colorBy === "entropy") return this.knownEntropies ? this.#meanEntropy() : "";
    if (!this.knownLogprobs) return "";
    if (colorBy === "surprisal") return this.#bits();
    return formatPerplexity(this.logprob, this.knownLogprobs, this.count);
  }

  #bits(): string {
    // Tokens of unknown probability can only add to the sum.
    const bound = this.knownLogprobs < this.count ? "≥ " : "";
    return `${bound}${Math.max(0, -this.logprob / Math.LN2).toFixed(1)} bits`;
  }

  #meanEntropy(): string {
    const known = this.knownEntropies;
    const [least, most] = [this.entropy / known, this.entropyMost / known];
    const bound = most - least < 0.005 ? "" : "≥ ";
    const extent = known < this.count ? ` (of ${known} of ${pluralize(this.count)})` : "";
    return `mean entropy ${bound}${least.toFixed(2)} bits${extent}`;
  }
}

/** The summary of all tokens, added up a little at a time. */
export class Summary {
  #sums = new Sums();
  /** The measures that were added up. */
  #measures: Measures | null = null;

  constructor(private readonly store: Store) {}

  get done(): boolean {
    return this.#sums.count >= this.store.count;
  }

  /** Tokens from `first` on have changed. */
  invalidate(first: number): void {
    if (first < this.#sums.count) this.#sums = new Sums();
  }

  /** Start again if a scale needs measures that have arrived since. */
  prepare(colorBy: ColorBy): void {
    if (colorBy !== "entropy" || this.#measures === this.store.measures) return;
    this.#measures = this.store.measures;
    this.#sums = new Sums();
  }

  *run(): Generator<void> {
    while (!this.done) {
      const start = this.#sums.count;
      this.#sums.add(this.store, start, Math.min(this.store.count, start + STEP));
      yield;
    }
  }

  /** The summary as text. What the tokens add up to appears once all are added up. */
  describe(colorBy: ColorBy): string {
    const facts = [pluralize(this.store.count)];
    if (this.done) facts.push(this.#sums.describe(colorBy));
    return facts.filter(Boolean).join(" · ");
  }
}

/** Describe a range of tokens: their number, their probability, and what they add up to. */
export function describeRange(store: Store, [start, stop]: [number, number], colorBy: ColorBy): string {
  const sums = new Sums();
  sums.add(store, start, stop);
  const facts = [`tokens ${start + 1} to ${stop}: ${pluralize(stop - start)}`];
  if (sums.knownLogprobs) {
    // The tokens of unknown probability can only lower the sum.
    const bound = sums.knownLogprobs < sums.count ? "≤ " : "";
    facts.push(
      `logprob ${bound}${signed(sums.logprob, 3)} nats`,
      `probability ${bound}${percent(Math.exp(sums.logprob))}`,
    );
  }
  facts.push(sums.describe(colorBy));
  return facts.filter(Boolean).join(" · ");
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
