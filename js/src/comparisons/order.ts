// The order of the rows. Its namesake `order_of` in deluge_nb/comparisons/cells.py orders the static forms in the same way.

import type { Row } from "./model.ts";

export type Measure = "" | "input" | "answer" | "logprob" | "difference";

/** A column by which rows are sorted: what is compared, and of which variant. */
export interface Column {
  measure: Measure;
  side: number;
}

/** Read the trait `sort_by`, such as `difference:name`. */
export function parseColumn(sortBy: string, names: string[]): Column {
  const [measure = ""] = sortBy.split(":", 1);
  return { measure: measure as Measure, side: names.indexOf(sortBy.slice(measure.length + 1)) };
}

export function formatColumn({ measure, side }: Column, names: string[]): string {
  return side < 0 ? measure : `${measure}:${names[side]}`;
}

/** The positions of rows in the order of a column: equal rows keep their order, and rows without a value come last. */
export function orderOf(rows: Row[], column: Column, descending: boolean): number[] {
  const places = rows.map((_, place) => place);
  if (!column.measure) return descending ? places.reverse() : places;
  const values = rows.map((row) => sortValue(row, column));
  const sign = descending ? -1 : 1;
  return places.sort((a, b) => {
    const [left = null, right = null] = [values[a], values[b]];
    if (left === null || right === null) return Number(left === null) - Number(right === null) || a - b;
    return (left < right ? -sign : left > right ? sign : 0) || a - b;
  });
}

function sortValue(row: Row, { measure, side }: Column): number | string | null {
  if (measure === "input") return row.input;
  const cell = row.cells[side];
  if (!cell) return null;
  if (measure === "answer") return typeof cell.error === "string" ? null : (cell.text ?? "");
  return measure === "logprob" ? cell.logprob : cell.difference;
}
