// What the two sides share: the traits of deluge_nb/widget/compare.py.

import type { AnyModel } from "@anywidget/types";
import type { ColorBy } from "../data/scale.ts";

export type CompareBy = "difference" | ColorBy;
export type Arrange = "side by side" | "interleaved";
export type Measure = "logprob" | "entropy";

export interface State {
  data: DataView;
  alignment: DataView;
  names: string[];
  selected: number | null;
  color_by: CompareBy;
  arrange: Arrange;
  measure: Measure;
  threshold: number;
  palette: string;
  font: string;
  title: string;
  link: string;
}

export type Model = AnyModel<State>;
