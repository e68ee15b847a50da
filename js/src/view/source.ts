// Finds the blocks of the answer that is shown: in traits of their own for the original, in the block of all branches for
// a branch.

import { type Block, unpack } from "../data/codec.ts";
import type { Store } from "../data/store.ts";
import type { Model } from "./model.ts";

export interface Source {
  data: DataView;
  alternatives: DataView | undefined;
  measures: DataView | undefined;
}

export function currentSource(model: Model): Source {
  const node = model.get("node");
  const original = {
    data: model.get("data"),
    alternatives: model.get("alternatives"),
    measures: model.get("measures"),
  };
  if (!node) return original;
  const columns = branchedColumns(model);
  const blockOf = (name: string): DataView | undefined => {
    const column = columns[`${name}${node}`];
    return column && new DataView(column.buffer, column.byteOffset, column.byteLength);
  };
  const data = blockOf("data");
  return data ? { data, alternatives: blockOf("alternatives"), measures: blockOf("measures") } : original;
}

function branchedColumns(model: Model): Block["columns"] {
  const branched = model.get("branched");
  return branched?.byteLength ? unpack(branched).columns : {};
}

/** Return whether the tokens of a node have arrived. */
export function hasBlocks(model: Model, node: number): boolean {
  return node === 0 || `data${node}` in branchedColumns(model);
}

/** Give a store the alternatives and measures that have arrived with its tokens. */
export function loadDetails(store: Store, { alternatives, measures }: Source): void {
  if (alternatives?.byteLength) store.deferAlternatives(alternatives);
  if (measures?.byteLength) store.receiveMeasures(unpack(measures));
}
