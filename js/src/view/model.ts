// The traits that a view shares with Python, as deluge_nb/widget/view.py declares them.

import type { AnyModel } from "@anywidget/types";
import type { ColorBy } from "../data/scale.ts";
import type { DisplayState } from "../ui/display_settings.ts";
import type { SamplerState } from "../ui/sampler_controls.ts";

/** What the rows of the tree have in common. */
interface TreeNode {
  id: number;
  label: string;
  status: "ready" | "asking" | "failed";
  /** The reason if it failed. */
  message: string;
}

/** One of several answers, or a beginning that some share, as deluge_nb/response/sample_tree.py describes it. */
export interface SampleNode extends TreeNode {
  /** The row around it; null for the first one. */
  parent: number | null;
  /** The node that it shows; null if it only counts answers without a row. */
  shows: number | null;
  /** True if the label is text of the model; else it says why there is none. */
  is_text: boolean;
  /** The numbers of the row, as text. */
  note: string;
  /** The share of the answers, its interval, and the joint probability; null where all have part in the row. */
  share: [share: number, low: number, high: number, probability: number | null] | null;
}

/** A continuation from an alternative, with the field names of deluge_nb/widget/branches.py. */
export interface BranchNode extends TreeNode {
  /** The id of the node that it continues; 0 is the original answer. */
  parent: number;
  /** The token that it replaces, and the index of its alternative there. */
  position: number;
  place: number;
  /** The token that the alternative, `label`, replaces. */
  instead: string;
  /** Of the alternative, and of the whole answer: nats. */
  logprob: number | null;
  total: number | null;
  /** The number of tokens of the whole answer. */
  tokens: number | null;
}

export type Node = BranchNode | SampleNode;

export interface State extends DisplayState, SamplerState {
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
  threshold: number;
  limits: number[];
  pinned: number[];
  title: string;
  before: string;
  link: string;
}

export type Model = AnyModel<State>;

/** The state of a tree of answers or branches. */
export interface TreeState {
  hadFocus: boolean;
  scrollTop: number;
}

/** The state that a view passes to the view that replaces it. */
export interface ViewState {
  scrollTop: number;
  isAtEnd: boolean;
  /** True if the text, or its card, had the focus. */
  textHadFocus: boolean;
  tree: TreeState;
  query: string;
}
