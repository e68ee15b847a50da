// Decides how a token looks: its heat, and whether it is selected, pinned, part of a search match, or outside the limits.

import { type ColorBy, limitTest, type Scale } from "../data/scale.ts";
import type { Store } from "../data/store.ts";
import { heatAt, valueFor } from "../data/token_values.ts";
import type { Appearance } from "../text/token_span.ts";
import type { Model } from "./model.ts";
import type { Selection } from "./selection.ts";

export class TokenStyle {
  colorBy: ColorBy = "probability";
  #isWithinLimits: ((value: number) => boolean) | null = null;

  constructor(
    private readonly model: Model,
    private readonly store: Store,
    private readonly selection: Selection,
    private readonly isMatch: (token: number) => boolean,
  ) {}

  get scale(): Scale {
    return this.store.scales[this.colorBy];
  }

  setLimits(limits: number[]): void {
    this.#isWithinLimits = limitTest(this.scale, this.colorBy, limits);
  }

  /** A function from tokens to their appearance. It reads the traits once, because tokens are many. */
  appearances(): (token: number) => Appearance {
    const { store, colorBy } = this;
    const { range, token: selected } = this.selection;
    const pinned = this.model.get("pinned");
    const isWithinLimits = this.#isWithinLimits;
    return (token) => {
      let classes = "";
      if (isWithinLimits && !isWithinLimits(valueFor(store, colorBy, token))) classes += " deluge-dim";
      if (this.isMatch(token)) classes += " deluge-hit";
      if (range && token >= range[0] && token < range[1]) classes += " deluge-ranged";
      if (token === selected) classes += " deluge-selected";
      if (pinned.includes(token)) classes += " deluge-pinned";
      return { heat: heatAt(store, colorBy, token), classes };
    };
  }
}
