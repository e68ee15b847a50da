// How tokens look: coloured by what was asked for, and marked as hit, chosen, kept or beside the point.

import { type ColorBy, limitTest, type Scale } from "../data/scale.ts";
import type { Store } from "../data/store.ts";
import { heatAt, valueFor } from "../data/token_values.ts";
import type { Appearance } from "../text/line_renderer.ts";
import type { Model } from "./model.ts";
import type { Chosen } from "./selection.ts";

export class Looks {
  colorBy: ColorBy = "probability";
  private isWanted: ((value: number) => boolean) | null = null;

  constructor(
    private readonly model: Model,
    private readonly store: Store,
    private readonly chosen: Chosen,
    private readonly hits: (token: number) => boolean,
  ) {}

  get scale(): Scale {
    return this.store.scales[this.colorBy];
  }

  limit(limits: number[]): void {
    this.isWanted = limitTest(this.scale, this.colorBy, limits);
  }

  of(token: number): Appearance {
    let classes = "";
    if (this.isWanted && !this.isWanted(valueFor(this.store, this.colorBy, token))) classes += " deluge-dim";
    if (this.hits(token)) classes += " deluge-hit";
    const range = this.chosen.range;
    if (range && token >= range[0] && token < range[1]) classes += " deluge-ranged";
    if (token === this.chosen.token) classes += " deluge-selected";
    if (this.model.get("pinned").includes(token)) classes += " deluge-pinned";
    return { heat: heatAt(this.store, this.colorBy, token), classes };
  }
}
