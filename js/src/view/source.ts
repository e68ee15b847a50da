// Where the bytes of what is shown are: the completion's own traits, or those of one of its branches.

import { unpack } from "../data/codec.ts";
import type { Model } from "./model.ts";

export interface Source {
  data: DataView;
  alternatives: DataView | undefined;
  measures: DataView | undefined;
}

export function sourceOf(model: Model): Source {
  const node = model.get("node");
  const own = {
    data: model.get("data"),
    alternatives: model.get("alternatives"),
    measures: model.get("measures"),
  };
  if (!node) return own;
  const { columns } = unpack(model.get("branched"));
  const part = (name: string): DataView | undefined => {
    const column = columns[`${name}${node}`];
    return column && new DataView(column.buffer, column.byteOffset, column.byteLength);
  };
  const data = part("data");
  return data ? { data, alternatives: part("alternatives"), measures: part("measures") } : own;
}
