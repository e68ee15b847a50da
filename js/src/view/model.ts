// The traits that a view shares with Python, as deluge_nb/widget/view.py declares them.

import type { AnyModel } from "@anywidget/types";
import type { ColorBy } from "../data/scale.ts";

/** A continuation from an alternative, with the field names of deluge_nb/widget/branches.py. */
export interface BranchNode {
  id: number;
  /** The id of the node that it continues; 0 is the original answer. */
  parent: number;
  /** The token that it replaces, and the index of its alternative there. */
  position: number;
  place: number;
  /** The alternative, and the token that it replaces. */
  label: string;
  instead: string;
  /** Of the alternative, and of the whole answer: nats. */
  logprob: number | null;
  total: number | null;
  /** The number of tokens of the whole answer. */
  tokens: number | null;
  status: "ready" | "asking" | "failed";
  /** The reason if it failed. */
  message: string;
}

export interface State {
  data: DataView;
  measures: DataView;
  alternatives: DataView;
  branched: DataView;
  tree: BranchNode[];
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
  before: string;
  link: string;
}

export type Model = AnyModel<State>;
