import { expect, test } from "vitest";
import percents from "../../../tests/fixtures/percent_vectors.json" with { type: "json" };
import { formatPerplexity, jointProbability, percent, signedNats } from "../../src/data/format.ts";

test.each([
  [1, "100 %"],
  [0.99999, ">99.99 %"],
  [0.9996, "99.96 %"],
  [0.931, "93.1 %"],
  [0.9, "90 %"],
  [0.1, "10 %"],
  [0.004, "0.40 %"],
  [0.00001, "<0.01 %"],
  [0, "0 %"],
  [Number.NaN, "unknown"],
])("%d is formatted as %s", (probability, text) => {
  expect(percent(probability)).toBe(text);
});

const vectors = percents.vectors as [number, string][];

test("probabilities are formatted as in Python, also in the single precision in which they arrive", () => {
  const single = (probability: number) => Math.exp(Math.fround(Math.log(probability)));
  const wrong = vectors.filter(
    ([probability, text]) => percent(probability) !== text || percent(single(probability)) !== text,
  );
  expect(vectors.length).toBeGreaterThan(1000);
  expect(wrong).toEqual([]);
});

test("differences are formatted with their sign", () => {
  expect([1.234, -0.5, 0.001, -0.001, Number.NaN].map(signedNats)).toEqual([
    "+1.23",
    "−0.50",
    "±0",
    "±0",
    "unknown",
  ]);
});

// tests/widget/test_compare.py checks the same of Python.
test.each([
  [1.8, "1.80"],
  [9.996, "10.0"],
  [99.96, "100"],
  [1234.3, "1234"],
  [1.25e30, "1.2e+30"],
])("a perplexity of %d has three digits: %s", (value, text) => {
  expect(formatPerplexity(-Math.log(value), 1, 1)).toBe(`perplexity ${text}`);
});

test("a joint probability is formatted as a percentage and in nats", () => {
  expect(jointProbability(-1)).toBe("joint probability 36.8 % (−1.00 nats)");
  expect(jointProbability(-100)).toBe("joint probability <0.01 % (−100.00 nats)");
  expect(jointProbability(null)).toBe("");
});
