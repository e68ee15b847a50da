// The selected token and the selected range of tokens. Both are traits, and may belong to an earlier, longer text: then
// they are cut to the tokens that exist.

import type { Store, TokenRef } from "../data/store.ts";
import { setTrait } from "../host/traits.ts";
import { RangeAnchor } from "../ui/range_anchor.ts";
import type { Model } from "./model.ts";

export class Selection {
  readonly #anchor = new RangeAnchor();

  constructor(
    private readonly model: Model,
    private readonly store: Store,
  ) {}

  get token(): number | null {
    const token = this.model.get("selected") ?? null;
    return token !== null && token < this.store.count ? token : null;
  }

  get ref(): TokenRef | null {
    const { token } = this;
    return token === null ? null : { side: 0, token };
  }

  /** The first token, and one past the last. */
  get range(): [number, number] | null {
    const [start = 0, end = 0] = this.model.get("selection");
    const stop = Math.min(end, this.store.count);
    return stop > start ? [start, stop] : null;
  }

  select(token: number | null): void {
    if (token !== this.token) setTrait(this.model, "selected", token);
  }

  selectRange(range: [number, number] | null): void {
    setTrait(this.model, "selection", range ?? []);
  }

  /** Select the tokens from `from` to before `to` that exist; returns the first of them, null if there are none. */
  selectBetween(from: number, to: number): number | null {
    const start = Math.max(0, Math.min(from, this.store.count));
    const stop = Math.max(0, Math.min(to, this.store.count));
    this.selectRange(stop > start ? [start, stop] : null);
    return stop > start ? start : null;
  }

  /** Start a range at a token, unless one is being selected. */
  startRange(token: number): void {
    this.#anchor.start(token);
  }

  /** Select from the start of the range to a token. */
  extendTo(token: number): void {
    this.selectRange(this.#anchor.rangeTo(token, this.token));
  }

  /** Let the next range start elsewhere. */
  endRange(): void {
    this.#anchor.end();
  }
}
