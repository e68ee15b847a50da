import { expect, test } from "vitest";
import { percent } from "../src/dom.ts";
import { actionOf, moved } from "../src/keyboard.ts";

test("arrows move by tokens and lines, home and end to the ends", () => {
  expect(actionOf("ArrowRight", 5)).toEqual({ kind: "token", by: 1 });
  expect(actionOf("ArrowUp", 5)).toEqual({ kind: "line", by: -1 });
  expect(actionOf("End", 5)).toEqual({ kind: "to", token: 4 });
});

test("keys that are not ours are left to the host", () => {
  for (const key of ["a", "Tab", "Shift", "F5"]) expect(actionOf(key, 5)).toBeNull();
});

test("a move stays within the text, and from nowhere goes to an end", () => {
  expect(moved(4, 1, 5)).toBe(4);
  expect(moved(0, -1, 5)).toBe(0);
  expect(moved(null, 1, 5)).toBe(0);
  expect(moved(null, -1, 5)).toBe(4);
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
