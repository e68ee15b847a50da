// The traits of the widgets of the course. Python declares them in deluge_nb/lab/widgets.

import type { AnyModel } from "@anywidget/types";

/** A chart for one value of a dial. */
export interface Picture {
  svg: string;
  /** The chart in words. */
  text: string;
}

export interface DialTraits {
  kind: "dial";
  link: string;
  label: string;
  /** The values of the steps, as numbers and as they are written. */
  steps: number[];
  texts: string[];
  /** The index of the current step. */
  position: number;
  /** One picture for each step, or none if Python draws each. */
  frames: Picture[];
  /** The picture that Python has drawn last. */
  picture: Picture;
  /** The step of that picture. */
  drawn: number;
}

/** A question that has been played. */
export interface Round {
  text: string;
  options: string[];
  chips: number[];
  shares: number[];
  /** The index of the right option. */
  right: number;
  paid: string;
  model_paid: string;
}

export interface BetsTraits {
  kind: "bets";
  link: string;
  total: number;
  text: string;
  options: string[];
  chips: number;
  rounds: Round[];
  summary: string;
}

export interface EventTraits {
  kind: "event";
  link: string;
  /** The outcomes with their shares, as they are written; the last one is everything else. */
  texts: string[];
  shares: string[];
  probabilities: number[];
  /** The indices of the outcomes in the event. */
  ticked: number[];
}

export type DialModel = AnyModel<DialTraits>;
export type BetsModel = AnyModel<BetsTraits>;
export type EventModel = AnyModel<EventTraits>;
