// The selected range of a comparison: tokens of one response. It is a trait.

import type { ColorBy } from "../data/scale.ts";
import type { TokenRef } from "../data/store.ts";
import { describeRange } from "../data/summary.ts";
import { setTrait } from "../host/traits.ts";
import { element } from "../ui/dom.ts";
import { RangeAnchor } from "../ui/range_anchor.ts";
import type { Alignment, Range } from "./alignment.ts";
import { LETTERS } from "./letters.ts";
import type { Model } from "./model.ts";

export class RangeSelection {
  /** What the tokens of the range add up to. */
  readonly root = element("div", "deluge-ranged-sum");
  readonly #anchor = new RangeAnchor();

  constructor(
    private readonly model: Model,
    private readonly alignment: Alignment,
  ) {}

  /** The response of the range, and its tokens. A notebook that an older version has saved has no such trait. */
  get range(): { side: number; tokens: Range } | null {
    const [side = 0, from = 0, to = 0] = this.model.get("selection") ?? [];
    const end = Math.min(to, this.alignment.count(side));
    return end > from ? { side, tokens: [from, end] } : null;
  }

  has({ side, token }: TokenRef): boolean {
    const { range } = this;
    return !!range && range.side === side && token >= range.tokens[0] && token < range.tokens[1];
  }

  select(side: number, [from, to]: Range): void {
    setTrait(this.model, "selection", [side, from, to]);
  }

  clear(): void {
    this.#anchor.end();
    if (this.range) setTrait(this.model, "selection", []);
  }

  /** Start a range at a token, unless one is being selected. */
  start(token: number): void {
    this.#anchor.start(token);
  }

  /** Select from the start of the range to a token; `current` is the start if there is none in its response. */
  extendTo({ side, token }: TokenRef, current: TokenRef | null): void {
    if (this.range && this.range.side !== side) this.#anchor.end();
    this.select(side, this.#anchor.rangeTo(token, current?.side === side ? current.token : null));
  }

  /** Let the next range start elsewhere. */
  end(): void {
    this.#anchor.end();
  }

  /** The text of the range; null if there is none. */
  get text(): string | null {
    const { range } = this;
    if (!range) return null;
    const store = this.alignment.stores[range.side];
    let text = "";
    for (let token = range.tokens[0]; token < range.tokens[1]; token++) text += store?.source(token) ?? "";
    return text;
  }

  /** Write what the range adds up to, and the same text in the other responses that share its ends. */
  paint(colorBy: ColorBy): void {
    const { range } = this;
    const store = this.alignment.stores[range?.side ?? -1];
    if (!range || !store) {
      this.root.textContent = "";
      return;
    }
    const sums = [`${LETTERS[range.side]}, ${describeRange(store, range.tokens, colorBy)}`];
    this.alignment.stores.forEach((other, side) => {
      const tokens = side === range.side ? null : this.alignment.opposite(range.side, range.tokens, side);
      if (tokens) sums.push(`${LETTERS[side]}, ${describeRange(other, tokens, colorBy)}`);
    });
    this.root.textContent = sums.join("; ");
  }
}
