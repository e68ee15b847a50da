// What a short answer shows by itself: the percent beside each of its tokens, and the likeliest tokens in place of a single
// one as bars. What only long answers need, surprises and search, is left to the keys.

import { percent } from "../data/format.ts";
import type { Store } from "../data/store.ts";
import type { Asides } from "../text/layout.ts";
import { type CardContent, renderRow } from "../ui/card_content.ts";
import { element } from "../ui/dom.ts";
import type { Model } from "./model.ts";
import type { Toolbar } from "./toolbar.ts";

/** The most tokens that have their percent beside them. */
export const FEW = 3;
/** The least tokens that have an overview and controls for surprises and search; fewer are seen at a glance. */
export const MANY = 30;
/** Bars of a single token. */
const BARS = 5;

const isFew = (count: number) => count > 0 && count <= FEW;
const percentOf = (store: Store, token: number) => percent(Math.exp(store.logprob[token] ?? Number.NaN));

/** What stands around the tokens of a view. */
export const asidesOf = (model: Model, store: Store): Asides => ({
  before: () => model.get("before") ?? "",
  beside: (token) => (isFew(store.count) ? percentOf(store, token) : ""),
});

export class ShortAnswer {
  readonly bars = element("div", "deluge-bars");
  #hadFew: boolean;

  constructor(
    private readonly store: Store,
    private readonly toolbar: Toolbar,
    private readonly contentOf: (token: number) => CardContent,
  ) {
    this.#hadFew = isFew(store.count);
    this.bars.setAttribute("role", "group");
    this.bars.setAttribute("aria-label", "The likeliest tokens");
    this.update();
  }

  /** Tokens or alternatives have arrived. Returns true if percents have appeared beside all tokens, or disappeared. */
  update(): boolean {
    const { count } = this.store;
    const hadFew = this.#hadFew;
    this.#hadFew = isFew(count);
    this.toolbar.showTools(count >= MANY);
    this.#showBars(count === 1);
    return hadFew !== this.#hadFew;
  }

  #showBars(isSingle: boolean): void {
    const listed = isSingle ? this.contentOf(0).rows.filter(({ index }) => index >= 0) : [];
    const rows = listed.filter(({ logprob }) => !Number.isNaN(logprob));
    const bars = rows.slice(0, BARS).map((row) => {
      const bar = renderRow(row, false, null);
      bar.querySelector("code")?.replaceWith(element("span", "deluge-label", row.label));
      return bar;
    });
    this.bars.replaceChildren(...bars);
    this.bars.hidden = !rows.length;
  }
}
