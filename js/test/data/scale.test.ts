import { expect, test } from "vitest";
import { limitTest, type Scale, valueAt } from "../../src/data/scale.ts";

const shares: Scale = { curve: "root", cap: 1, unit: "", steps: [], heats: [] };
const bits: Scale = { curve: "linear", cap: 10, unit: "bits", steps: [], heats: [] };
const ranks: Scale = { curve: "log", cap: 100, unit: "", steps: [], heats: [] };

test("without limits nothing is left out", () => {
  expect(limitTest(shares, "probability", [])).toBeNull();
});

test.each([0.5, 0.1, 1e-3, 1e-9, 0.999999, 1])("a probability of %d lies on its own limits", (p) => {
  const sent = Math.exp(Math.fround(Math.log(p)));
  expect(limitTest(shares, "probability", [p, p])?.(sent)).toBe(true);
});

test("small probabilities are told apart", () => {
  const wanted = limitTest(shares, "probability", [1e-6, 0.5]);
  expect([1e-9, 9e-7, 1.1e-6, 0.5, 0.51].map((p) => wanted?.(p))).toEqual([false, false, true, true, false]);
  expect(limitTest(shares, "probability", [0, 1e-6])?.(0)).toBe(true);
});

test("the end of a scale stands for what is beyond, a limit beyond it for itself", () => {
  expect(limitTest(bits, "surprisal", [3, 10])?.(30)).toBe(true);
  expect(limitTest(bits, "surprisal", [3, 15])?.(30)).toBe(false);
  expect([11, 12, 13].map((value) => limitTest(bits, "surprisal", [12, 20])?.(value))).toEqual([
    false,
    true,
    true,
  ]);
  expect(limitTest(ranks, "rank", [valueAt(ranks, 0.5), valueAt(ranks, 1)])?.(5000)).toBe(true);
});

test("what is unknown is within no limits", () => {
  expect(limitTest(shares, "margin", [0, 1])?.(Number.NaN)).toBe(false);
});
