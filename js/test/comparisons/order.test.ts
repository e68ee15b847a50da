import { expect, test } from "vitest";
import vectors from "../../../tests/fixtures/order_vectors.json";
import type { Cell } from "../../src/comparisons/model.ts";
import { formatColumn, orderOf, parseColumn } from "../../src/comparisons/order.ts";

type Numbers = [text: string | null, logprob: number | null, difference: number | null];

const names = vectors.names;
const rows = (vectors.rows as [string, Numbers[]][]).map(([input, cells]) => ({
  label: "",
  input,
  cells: cells.map(
    ([text, logprob, difference]): Cell => ({
      text: text ?? "",
      error: text === null ? "failed" : null,
      logprob,
      mean: "",
      warmth: null,
      difference,
      change: "",
      heat: null,
    }),
  ),
}));

test.each(vectors.vectors as [string, boolean, number[]][])(
  "rows sorted by %j, descending: %j",
  (sortBy, descending, order) => {
    expect(orderOf(rows, parseColumn(sortBy, names), descending)).toEqual(order);
  },
);

test.each(vectors.vectors as [string, boolean, number[]][])(
  "the column %j is read as it is written",
  (sortBy) => {
    expect(formatColumn(parseColumn(sortBy, names), names)).toBe(sortBy);
  },
);
