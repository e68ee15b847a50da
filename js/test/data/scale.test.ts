import { expect, test } from "vitest";
import { heat, limitTest, type Scale, valueAt } from "../../src/data/scale.ts";

const shares: Scale = { curve: "root", cap: 1, unit: "", steps: [], heats: [] };
const bits: Scale = { curve: "linear", cap: 10, unit: "bits", steps: [], heats: [] };
const ranks: Scale = { curve: "log", cap: 100, unit: "", steps: [], heats: [] };

test("without limits there is no test", () => {
  expect(limitTest(shares, "probability", [])).toBeNull();
});

test.each([0.5, 0.1, 1e-3, 1e-9, 0.999999, 1])("a probability of %d passes limits equal to it", (p) => {
  const sent = Math.exp(Math.fround(Math.log(p)));
  expect(limitTest(shares, "probability", [p, p])?.(sent)).toBe(true);
});

test("small probabilities are distinguished", () => {
  const wanted = limitTest(shares, "probability", [1e-6, 0.5]);
  expect([1e-9, 9e-7, 1.1e-6, 0.5, 0.51].map((p) => wanted?.(p))).toEqual([false, false, true, true, false]);
  expect(limitTest(shares, "probability", [0, 1e-6])?.(0)).toBe(true);
});

test("a limit at the cap includes all values beyond, a limit beyond it does not", () => {
  expect(limitTest(bits, "surprisal", [3, 10])?.(30)).toBe(true);
  expect(limitTest(bits, "surprisal", [3, 15])?.(30)).toBe(false);
  expect([11, 12, 13].map((value) => limitTest(bits, "surprisal", [12, 20])?.(value))).toEqual([
    false,
    true,
    true,
  ]);
  expect(limitTest(ranks, "rank", [valueAt(ranks, 0.5), valueAt(ranks, 1)])?.(5000)).toBe(true);
});

test("unknown values pass no limits", () => {
  expect(limitTest(shares, "margin", [0, 1])?.(Number.NaN)).toBe(false);
});

const curves = [
  { curve: "root", cap: 1, unit: "", steps: [], heats: [] },
  { curve: "linear", cap: 8, unit: "bits", steps: [], heats: [] },
  { curve: "log", cap: 32, unit: "place", steps: [], heats: [] },
] as const;

test.each(curves)("heat on a $curve curve goes from 0 to 1, and valueAt inverts it", (curve) => {
  const scale = { ...curve, steps: [], heats: [] };
  const sure = curve.curve === "root" ? 1 : curve.curve === "log" ? 1 : 0;
  expect(heat(scale, sure)).toBe(0);
  expect(heat(scale, curve.curve === "root" ? 0 : curve.cap * 10)).toBe(1);
  expect(heat(scale, Number.NaN)).toBeNaN();
  for (const at of [0, 0.2, 0.6, 1]) {
    const back = heat(scale, valueAt(scale, at));
    expect(Math.abs(back - at)).toBeLessThan(curve.curve === "log" ? 0.11 : 1e-9);
  }
});
