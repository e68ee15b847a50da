import { expect, test } from "vitest";
import { heat, percent, valueAt } from "../../src/data/scale.ts";
import { actionOf, movePosition } from "../../src/ui/keyboard.ts";

test("arrows move by tokens and lines, home and end to the ends", () => {
  expect(actionOf("ArrowRight", 5)).toEqual({ kind: "token", by: 1 });
  expect(actionOf("ArrowUp", 5)).toEqual({ kind: "line", by: -1 });
  expect(actionOf("End", 5)).toEqual({ kind: "to", token: 4 });
});

test("keys that are not ours are left to the host", () => {
  for (const key of ["a", "Tab", "Shift", "F5"]) expect(actionOf(key, 5)).toBeNull();
});

test("a move stays within the text, and from nowhere goes to an end", () => {
  expect(movePosition(4, 1, 5)).toBe(4);
  expect(movePosition(0, -1, 5)).toBe(0);
  expect(movePosition(null, 1, 5)).toBe(0);
  expect(movePosition(null, -1, 5)).toBe(4);
});

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
])("%d is written as %s", (probability, text) => {
  expect(percent(probability)).toBe(text);
});

const curves = [
  { curve: "root", cap: 1, unit: "", steps: [], heats: [] },
  { curve: "linear", cap: 8, unit: "bits", steps: [], heats: [] },
  { curve: "log", cap: 32, unit: "place", steps: [], heats: [] },
] as const;

test.each(curves)("heat on a $curve curve goes from 0 to 1, and back to its value", (one) => {
  const scale = { ...one, steps: [], heats: [] };
  const sure = one.curve === "root" ? 1 : one.curve === "log" ? 1 : 0;
  expect(heat(scale, sure)).toBe(0);
  expect(heat(scale, one.curve === "root" ? 0 : one.cap * 10)).toBe(1);
  expect(heat(scale, Number.NaN)).toBeNaN();
  for (const at of [0, 0.2, 0.6, 1]) {
    const back = heat(scale, valueAt(scale, at));
    expect(Math.abs(back - at)).toBeLessThan(one.curve === "log" ? 0.11 : 1e-9);
  }
});
