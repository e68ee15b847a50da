import { expect, test } from "vitest";
import { formatPerplexity } from "../../src/data/format.ts";
import type { Store } from "../../src/data/store.ts";
import { describeRange, Summary } from "../../src/data/summary.ts";

const half = Math.log(0.5);
const storeOf = (...logprob: number[]) => ({ logprob, count: logprob.length }) as unknown as Store;

test("a perplexity names its tokens where some were withheld", () => {
  expect(formatPerplexity(2 * half, 2, 2)).toBe("perplexity 2.00");
  expect(formatPerplexity(2 * half, 2, 3)).toBe("perplexity 2.00 (of 2 of 3 tokens)");
});

test("the summary names the tokens that its perplexity is of", () => {
  for (const [store, text] of [
    [storeOf(half, half), "2 tokens · perplexity 2.00"],
    [storeOf(half, Number.NaN, half), "3 tokens · perplexity 2.00 (of 2 of 3 tokens)"],
    [storeOf(Number.NaN), "1 token"],
  ] as const) {
    const summary = new Summary(store);
    for (const _ of summary.run());
    expect(summary.text).toBe(text);
  }
});

test("a withheld token makes the sum of a range an upper bound", () => {
  const store = storeOf(half, half, Number.NaN);
  expect(describeRange(store, [0, 2])).toBe(
    "tokens 1 to 2: 2 tokens · logprob -1.386 nats · probability 25 % · perplexity 2.00",
  );
  expect(describeRange(store, [1, 3])).toBe(
    "tokens 2 to 3: 2 tokens · logprob ≤ -0.693 nats · probability ≤ 50 % · perplexity 2.00 (of 1 of 2 tokens)",
  );
});
