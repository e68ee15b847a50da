// Helpers for typed columns: room to grow, and binary search.

import type { Column } from "./codec.ts";

/** Give a column at least `length` rows. Capacity doubles, so that appending costs the same at any size. */
export function ensureCapacity<T extends Column>(column: T, length: number): T {
  if (column.length >= length) return column;
  const ColumnType = column.constructor as unknown as new (length: number) => T;
  const larger = new ColumnType(Math.max(length, column.length * 2, 1024));
  larger.set(column as never);
  return larger;
}

/** The number of indices below `length` that pass a test. Those that pass must come before those that fail. */
export function partitionPoint(length: number, passes: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (passes(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The last index below `length` that passes a test; 0 if none does. See `partitionPoint`. */
export function lastPassing(length: number, passes: (index: number) => boolean): number {
  return Math.max(0, partitionPoint(length, passes) - 1);
}

/** The index of the last of ascending values that is at most a limit; 0 if none is. */
export function lastAtMost(values: ArrayLike<number>, limit: number): number {
  return lastPassing(values.length, (index) => (values[index] ?? 0) <= limit);
}
