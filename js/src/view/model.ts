// What the two sides share: the traits of deluge_nb/widget/view.py.

import type { AnyModel } from "@anywidget/types";
import type { ColorBy } from "../data/scale.ts";

/** A continuation from an alternative, or one that is still asked for. */
export interface Node {
  id: number;
  parent: number;
  position: number;
  /** Among the alternatives of the parent there. */
  place: number;
  label: string;
  instead: string;
  /** Of the alternative, and of the whole answer; nats. */
  logprob: number | null;
  total: number | null;
  tokens: number | null;
  status: "ready" | "asking" | "failed";
  message: string;
}

export interface State {
  data: DataView;
  measures: DataView;
  alternatives: DataView;
  branched: DataView;
  tree: Node[];
  node: number;
  branching: string | null;
  selected: number | null;
  selection: number[];
  color_by: ColorBy;
  palette: string;
  font: string;
  spaces: string;
  boundaries: boolean;
  threshold: number;
  limits: number[];
  temperature: number;
  pinned: number[];
  title: string;
  link: string;
}

export type Model = AnyModel<State>;
