// The traits that a comparison shares with Python, as deluge_nb/widget/compare.py declares them.

import type { AnyModel } from "@anywidget/types";
import type { ColorBy } from "../data/scale.ts";
import type { DisplayState } from "../ui/display_settings.ts";
import type { SamplerState } from "../ui/sampler_controls.ts";

export type CompareBy = "difference" | ColorBy;
export type Arrange = "side by side" | "interleaved";
export type ChartMeasure = "logprob" | "entropy";

export interface State extends DisplayState, SamplerState {
  data: DataView;
  alignment: DataView;
  names: string[];
  summaries: string[];
  selected: number | null;
  /** The selected range: the response, the first token, and one past the last; else empty. */
  selection: number[];
  /** For each kept card its response and its token. */
  pinned: [side: number, token: number][];
  color_by: CompareBy;
  arrange: Arrange;
  measure: ChartMeasure;
  threshold: number;
  title: string;
  link: string;
}

export type Model = AnyModel<State>;
