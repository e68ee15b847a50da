import { expect, test } from "vitest";
import { jointProbability, percent, signedNats } from "../../src/data/format.ts";

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

test("differences are formatted with their sign", () => {
  expect([1.234, -0.5, 0.001, -0.001, Number.NaN].map(signedNats)).toEqual([
    "+1.23",
    "−0.50",
    "±0",
    "±0",
    "unknown",
  ]);
});

test("a joint probability is formatted as a percentage and in nats", () => {
  expect(jointProbability(-1)).toBe("joint probability 36.8 % (-1.00 nats)");
  expect(jointProbability(-100)).toBe("joint probability <0.01 % (-100.00 nats)");
  expect(jointProbability(null)).toBe("");
});
