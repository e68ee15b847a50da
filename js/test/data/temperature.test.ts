import { expect, test } from "vitest";
import file from "../../../tests/fixtures/stats_vectors.json" with { type: "json" };
import { atTemperature } from "../../src/data/temperature.ts";

interface Vector {
  id: string;
  function: string;
  inputs: { top_logprobs: number[]; temperature: number; vocab_size: number | null };
  expected: { lower: number[]; upper: number[] };
}

// The same vectors that test deluge_nb/stats/temperature.py.
const vectors = (file.vectors as unknown as Vector[]).filter(
  (vector) => vector.function === "temperature_topk",
);

test("the file has vectors", () => {
  expect(vectors.length).toBeGreaterThan(0);
});

test.each(vectors)("$id: the bounds equal those of deluge_nb.stats", ({ inputs, expected }) => {
  const { lower, upper } = atTemperature(inputs.top_logprobs, inputs.temperature, inputs.vocab_size);
  expected.lower.forEach((bound, at) => {
    expect(Math.abs((lower[at] ?? 0) / bound - 1)).toBeLessThan(1e-11);
  });
  expected.upper.forEach((bound, at) => {
    expect(Math.abs((upper[at] ?? 0) / bound - 1)).toBeLessThan(1e-11);
  });
});

const whole = Array.from({ length: 400 }, (_, at) => -0.07 * at - Math.sin(at * at));
const total = Math.log(whole.reduce((sum, logprob) => sum + Math.exp(logprob), 0));
const logprobs = whole.map((logprob) => logprob - total).sort((a, b) => b - a);

test.each([0.1, 0.5, 0.9, 1, 1.1, 1.5, 2])(
  "at temperature %d the bounds contain the true probabilities",
  (temperature) => {
    const powers = logprobs.map((logprob) => Math.exp(logprob / temperature));
    const sum = powers.reduce((a, b) => a + b, 0);
    for (const size of [null, 400]) {
      const { lower, upper, rest } = atTemperature(logprobs.slice(0, 20), temperature, size);
      for (let at = 0; at < 20; at++) {
        const truth = (powers[at] ?? 0) / sum;
        expect(lower[at]).toBeLessThanOrEqual(truth * (1 + 1e-9));
        expect(upper[at]).toBeGreaterThanOrEqual(truth * (1 - 1e-9));
      }
      const others = powers.slice(20).reduce((a, b) => a + b, 0) / sum;
      expect(rest[0]).toBeLessThanOrEqual(others * (1 + 1e-9));
      expect(rest[1]).toBeGreaterThanOrEqual(others * (1 - 1e-9));
    }
  },
);

test("at temperature 0 the most probable tokens share everything", () => {
  expect(atTemperature([-1, -1, -3], 0, 50).lower).toEqual([0.5, 0.5, 0]);
  expect(atTemperature([-0.5, -3], 0, null).rest).toEqual([0, 0]);
});

test("an unlisted chosen token counts, but does not limit hidden tokens", () => {
  const { lower, upper, rest } = atTemperature([Math.log(0.5), Math.log(0.2)], 1, null, Math.log(0.01));
  expect(lower[2]).toBeCloseTo(0.01, 12);
  expect(upper[0]).toBeCloseTo(0.5, 12);
  expect(rest[0]).toBeCloseTo(0.29, 12);
});

test("if rounding makes the list exceed 1, nothing is left for the rest", () => {
  expect(atTemperature([1e-7, -30], 1, null).rest).toEqual([0, 0]);
});
