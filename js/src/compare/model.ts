// The traits that a comparison shares with Python, as deluge_nb/widget/compare.py declares them.

import type { AnyModel } from "@anywidget/types";
import type { ColorBy } from "../data/scale.ts";

export type CompareBy = "difference" | ColorBy;
export type Arrange = "side by side" | "interleaved";
export type ChartMeasure = "logprob" | "entropy";

export interface State {
  data: DataView;
  alignment: DataView;
  names: string[];
  summaries: string[];
  selected: number | null;
  color_by: CompareBy;
  arrange: Arrange;
  measure: ChartMeasure;
  threshold: number;
  palette: string;
  font: string;
  spaces: string;
  boundaries: boolean;
  title: string;
  link: string;
}

export type Model = AnyModel<State>;
