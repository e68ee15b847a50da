import { expect, test } from "vitest";
import { RangeAnchor } from "../../src/ui/range_anchor.ts";

test("a range grows and shrinks from its start, in both directions", () => {
  const anchor = new RangeAnchor();
  anchor.start(5);
  anchor.start(6);
  expect(anchor.rangeTo(7, null)).toEqual([5, 8]);
  expect(anchor.rangeTo(3, 7)).toEqual([3, 6]);
  anchor.end();
  expect(anchor.rangeTo(3, 4)).toEqual([3, 5]);
  anchor.end();
  expect(anchor.rangeTo(2, null)).toEqual([2, 3]);
});
