import { expect, test } from "vitest";
import { ensureCapacity, lastAtMost, lastPassing, partitionPoint } from "../../src/data/columns.ts";

test("the last value that is at most a limit is found by bisection", () => {
  const values = Uint32Array.of(0, 2, 2, 5);
  expect([0, 1, 2, 4, 5, 9].map((value) => lastAtMost(values, value))).toEqual([0, 0, 2, 2, 3, 3]);
});

test("partitionPoint counts the indices that pass", () => {
  for (const size of [0, 1, 2, 7, 8]) {
    for (let passing = 0; passing <= size; passing++) {
      expect(partitionPoint(size, (index) => index < passing)).toBe(passing);
      expect(lastPassing(size, (index) => index < passing)).toBe(Math.max(0, passing - 1));
    }
  }
});

test("a column that grows keeps its values and type, and gets spare capacity", () => {
  const column = Uint16Array.of(3, 65_535);
  expect(ensureCapacity(column, 2)).toBe(column);
  const larger = ensureCapacity(column, 3);
  expect(larger).toBeInstanceOf(Uint16Array);
  expect(larger.length).toBeGreaterThan(3);
  expect([...larger.subarray(0, 3)]).toEqual([3, 65_535, 0]);
});
