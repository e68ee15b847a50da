import { expect, test } from "vitest";
import { formatPerplexity } from "../../src/data/format.ts";
import type { ColorBy } from "../../src/data/scale.ts";
import type { Store } from "../../src/data/store.ts";
import { describeRange, Summary } from "../../src/data/summary.ts";

const half = Math.log(0.5);
const storeOf = (...logprob: number[]) => ({ logprob, count: logprob.length }) as unknown as Store;

test("a perplexity names its tokens where some were withheld", () => {
  expect(formatPerplexity(2 * half, 2, 2)).toBe("perplexity 2.00");
  expect(formatPerplexity(2 * half, 2, 3)).toBe("perplexity 2.00 (of 2 of 3 tokens)");
});

const measured = (entropy: number[], entropyMost = entropy, logprob = entropy.map(() => half)) =>
  ({ ...storeOf(...logprob), measures: { entropy, entropyMost } }) as unknown as Store;
const summaryOf = (store: Store, colorBy: ColorBy) => {
  const summary = new Summary(store);
  summary.prepare(colorBy);
  for (const _ of summary.run());
  return summary.describe(colorBy);
};

test("the summary is in the measure of the colours", () => {
  const store = measured([1, 2, 0.5], [1, 2, 0.5], [half, 2 * half, 3 * half]);
  expect(summaryOf(store, "surprisal")).toBe("3 tokens · 6.0 bits");
  expect(summaryOf(store, "entropy")).toBe("3 tokens · mean entropy 1.17 bits");
  for (const colorBy of ["probability", "margin", "rank"] as const)
    expect(summaryOf(store, colorBy)).toBe("3 tokens · perplexity 4.00");
});

test("the summary names the tokens that its perplexity is of", () => {
  for (const [store, text] of [
    [storeOf(half, half), "2 tokens · perplexity 2.00"],
    [storeOf(half, Number.NaN, half), "3 tokens · perplexity 2.00 (of 2 of 3 tokens)"],
    [storeOf(Number.NaN), "1 token"],
    [storeOf(), "0 tokens"],
  ] as const)
    expect(summaryOf(store, "probability")).toBe(text);
});

test("a summary in bits is a lower bound where a number is withheld or hidden", () => {
  expect(summaryOf(storeOf(half, Number.NaN), "surprisal")).toBe("2 tokens · ≥ 1.0 bits");
  expect(summaryOf(storeOf(0), "surprisal")).toBe("1 token · 0.0 bits");
  expect(summaryOf(measured([1, 2], [1.5, 2]), "entropy")).toBe("2 tokens · mean entropy ≥ 1.50 bits");
  expect(summaryOf(measured([1, Number.NaN]), "entropy")).toBe(
    "2 tokens · mean entropy 1.00 bits (of 1 of 2 tokens)",
  );
});

test("measures that arrive later are added up", () => {
  const store = { ...measured([1, 2]), measures: null } as unknown as Store;
  const summary = new Summary(store);
  for (const entropy of [[1], [1, 2]]) {
    store.measures = measured(entropy).measures;
    summary.prepare("entropy");
    for (const _ of summary.run());
  }
  expect(summary.describe("entropy")).toBe("2 tokens · mean entropy 1.50 bits");
  summary.prepare("probability");
  expect(summary.done).toBe(true);
});

test("without measures a summary by entropy has the number of tokens only", () => {
  expect(summaryOf(storeOf(half), "entropy")).toBe("1 token");
});

test("a range says the same of itself", () => {
  const store = measured([1, 2, 0.5], [1, 2, 0.5], [half, 2 * half, 3 * half]);
  const start = "tokens 1 to 2: 2 tokens · logprob −2.079 nats · probability 12.5 % · ";
  expect(describeRange(store, [0, 2], "surprisal")).toBe(`${start}3.0 bits`);
  expect(describeRange(store, [0, 2], "entropy")).toBe(`${start}mean entropy 1.50 bits`);
  expect(describeRange(store, [0, 2], "rank")).toBe(`${start}perplexity 2.83`);
});

test("a withheld token makes the sum of a range an upper bound", () => {
  const store = storeOf(half, half, Number.NaN);
  expect(describeRange(store, [0, 2], "probability")).toBe(
    "tokens 1 to 2: 2 tokens · logprob −1.386 nats · probability 25 % · perplexity 2.00",
  );
  expect(describeRange(store, [1, 3], "probability")).toBe(
    "tokens 2 to 3: 2 tokens · logprob ≤ −0.693 nats · probability ≤ 50 % · perplexity 2.00 (of 1 of 2 tokens)",
  );
});
