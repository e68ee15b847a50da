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

  appearanceOf(token: number): Appearance {
    let classes = "";
    if (this.#isWithinLimits && !this.#isWithinLimits(valueFor(this.store, this.colorBy, token)))
      classes += " deluge-dim";
    if (this.isMatch(token)) classes += " deluge-hit";
    const range = this.selection.range;
    if (range && token >= range[0] && token < range[1]) classes += " deluge-ranged";
    if (token === this.selection.token) classes += " deluge-selected";
    if (this.model.get("pinned").includes(token)) classes += " deluge-pinned";
    return { heat: heatAt(this.store, this.colorBy, token), classes };
  }
}
