// The traits that a table of comparisons shares with Python, as deluge_nb/comparisons/comparisons.py declares them.

import type { AnyModel } from "@anywidget/types";

/** One answer, with its numbers and their texts; deluge_nb/comparisons/cells.py writes it. */
export interface Cell {
  text?: string;
  error?: string | null;
  facts?: string;
  logprob: number | null;
  mean: string;
  warmth: number | null;
  difference: number | null;
  change: string;
  heat: number | null;
}

export interface Row {
  label: string;
  input: string;
  cells: Cell[];
}

/** What an opened row shows: the traits of a comparison, or why there is none. */
export interface Opened {
  row: number;
  against: number;
  state?: Record<string, unknown>;
  error?: string;
}

/** The comparisons in a saved page: the settings that all share, and what each row has of its own. */
export interface SavedRows {
  shared: Record<string, unknown>;
  rows: (Omit<Opened, "against"> & { against: number | null })[];
}

export interface State {
  names: string[];
  rows: Row[];
  totals: Cell[];
  note: string;
  sort_by: string;
  descending: boolean;
  opened: number | null;
  against: number;
  title: string;
  comparison: Partial<Opened>;
  data: DataView;
  alignment: DataView;
  /** Only in a saved page. */
  details: SavedRows | undefined;
  blocks: DataView;
  link: string;
}

export type Model = AnyModel<State>;
