// How tokens of a comparison look: coloured by what was asked for, and marked as chosen or beside the point.

import { limitTest } from "../data/scale.ts";
import { heatAt, valueFor } from "../data/token_values.ts";
import type { Appearance } from "../text/line_renderer.ts";
import type { Comparison, Place } from "./alignment.ts";
import type { CompareBy } from "./model.ts";

export class Looks {
  private isWanted: ((value: number) => boolean) | null = null;
  private colorBy: CompareBy = "difference";

  constructor(
    private readonly comparison: Comparison,
    private readonly chosen: () => { span: number | null; at: Place | null },
  ) {}

  /** Colour by something else, all of it. */
  color(by: CompareBy): void {
    this.colorBy = by;
    this.isWanted = null;
  }

  limit(limits: number[]): void {
    const by = this.colorBy;
    const scale = by === "difference" ? undefined : this.comparison.stores[0]?.scales[by];
    this.isWanted = scale && by !== "difference" ? limitTest(scale, by, limits) : null;
  }

  of(place: Place): Appearance {
    const { comparison, colorBy: by } = this;
    const store = comparison.stores[place.side];
    const common = comparison.isCommon(place);
    let classes = common ? "" : " deluge-only";
    let value: number | null = null;
    if (by === "difference") {
      const difference = comparison.difference(place);
      if (common) value = Math.min(1, Math.abs(difference) / comparison.cap);
      if (difference > 0) classes += " deluge-surer";
    } else if (store) {
      value = heatAt(store, by, place.token);
      if (value !== null && this.isWanted && !this.isWanted(valueFor(store, by, place.token)))
        classes += " deluge-dim";
    }
    const { span, at } = this.chosen();
    if (span !== null) {
      const [from, to] = comparison.within(span, place.side);
      if (place.token >= from && place.token < to) classes += " deluge-ranged";
    }
    if (place.side === at?.side && place.token === at.token) classes += " deluge-selected";
    return { heat: value, classes };
  }
}
