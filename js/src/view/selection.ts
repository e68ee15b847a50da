// What is chosen: a token, and a range of them. The host has both; they may be those of a text that was longer.

import type { Store } from "../data/store.ts";
import { setTrait } from "../host/traits.ts";
import type { Model } from "./model.ts";

export class Chosen {
  /** The other end of a range that is being chosen. */
  private anchor: number | null = null;

  constructor(
    private readonly model: Model,
    private readonly store: Store,
  ) {}

  get token(): number | null {
    const token = this.model.get("selected") ?? null;
    return token !== null && token < this.store.count ? token : null;
  }

  get range(): [number, number] | null {
    const [start = 0, end = 0] = this.model.get("selection");
    const stop = Math.min(end, this.store.count);
    return stop > start ? [start, stop] : null;
  }

  select(token: number | null): void {
    if (token !== this.token) setTrait(this.model, "selected", token);
  }

  choose(range: [number, number] | null): void {
    setTrait(this.model, "selection", range ?? []);
  }

  /** Begin a range where one is, unless one was begun. */
  begin(from: number): void {
    this.anchor ??= from;
  }

  /** A range from where it was begun up to a token. */
  extend(token: number): void {
    const from = this.anchor ?? this.token ?? token;
    this.anchor = from;
    this.choose([Math.min(from, token), Math.max(from, token) + 1]);
  }

  /** The next range begins elsewhere. */
  leave(): void {
    this.anchor = null;
  }
}
