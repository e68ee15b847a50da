// Decides how a token of a comparison looks: its heat, and whether it is selected, only in one response, or outside the
// limits.

import { limitTest } from "../data/scale.ts";
import { heatAt, valueFor } from "../data/token_values.ts";
import type { Appearance } from "../text/token_span.ts";
import type { Alignment, TokenRef } from "./alignment.ts";
import type { CompareBy } from "./model.ts";
import type { RangeSelection } from "./range_selection.ts";
import type { Tools } from "./tools.ts";

export class TokenStyle {
  #isWithinLimits: ((value: number) => boolean) | null = null;
  #colorBy: CompareBy = "difference";

  constructor(
    private readonly alignment: Alignment,
    private readonly selection: () => { span: number | null; current: TokenRef | null },
    private readonly ranges: RangeSelection,
    private readonly tools: Tools | null,
  ) {}

  /** Colour by another measure, without limits. */
  setColorBy(colorBy: CompareBy): void {
    this.#colorBy = colorBy;
    this.#isWithinLimits = null;
  }

  setLimits(limits: number[]): void {
    const colorBy = this.#colorBy;
    const scale = colorBy === "difference" ? undefined : this.alignment.stores[0]?.scales[colorBy];
    this.#isWithinLimits = scale && colorBy !== "difference" ? limitTest(scale, colorBy, limits) : null;
  }

  appearanceOf(ref: TokenRef): Appearance {
    const { alignment } = this;
    const colorBy = this.#colorBy;
    const store = alignment.stores[ref.side];
    const isCommon = alignment.isCommon(ref);
    let classes = isCommon ? "" : " deluge-only";
    let heat: number | null = null;
    if (colorBy === "difference") {
      const difference = alignment.difference(ref);
      if (isCommon) heat = Math.min(1, Math.abs(difference) / alignment.cap);
      if (difference > 0) classes += " deluge-surer";
    } else if (store) {
      heat = heatAt(store, colorBy, ref.token);
      const isWithinLimits = this.#isWithinLimits;
      if (heat !== null && isWithinLimits && !isWithinLimits(valueFor(store, colorBy, ref.token)))
        classes += " deluge-dim";
    }
    const { span, current } = this.selection();
    if (this.ranges.range) {
      if (this.ranges.has(ref)) classes += " deluge-ranged";
    } else if (span !== null) {
      const [from, to] = alignment.rangeIn(span, ref.side);
      if (ref.token >= from && ref.token < to) classes += " deluge-ranged";
    }
    if (ref.side === current?.side && ref.token === current.token) classes += " deluge-selected";
    return { heat, classes: `${classes}${this.tools?.classesOf(ref) ?? ""}` };
  }
}
