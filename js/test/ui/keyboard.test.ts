import { expect, test } from "vitest";
import { actionOf, movePosition } from "../../src/ui/keyboard.ts";

test("arrow keys move by tokens and lines, Home and End to the ends", () => {
  expect(actionOf("ArrowRight", 5)).toEqual({ kind: "token", by: 1 });
  expect(actionOf("ArrowUp", 5)).toEqual({ kind: "line", by: -1 });
  expect(actionOf("End", 5)).toEqual({ kind: "to", token: 4 });
});

test("other keys are left to the host", () => {
  for (const key of ["a", "Tab", "Shift", "F5"]) expect(actionOf(key, 5)).toBeNull();
});

test("a move stays within the text, and without a position goes to an end", () => {
  expect(movePosition(4, 1, 5)).toBe(4);
  expect(movePosition(0, -1, 5)).toBe(0);
  expect(movePosition(null, 1, 5)).toBe(0);
  expect(movePosition(null, -1, 5)).toBe(4);
});
