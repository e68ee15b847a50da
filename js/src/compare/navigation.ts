// Moves between tokens, between responses and between differences.

import { movePosition } from "../ui/keyboard.ts";
import type { Alignment, TokenRef } from "./alignment.ts";
import type { ResponseBox } from "./response_box.ts";

/** The view, as navigation uses it. */
export interface NavigationHost {
  threshold: number;
  /** Show the token that was moved to. `isOtherSide` tells whether it is in another response than the last one. */
  show(ref: TokenRef, isOtherSide: boolean, isOpen: boolean): void;
  notify(text: string): void;
}

export class Navigation {
  /** The token that the keys move from. */
  current: TokenRef | null = null;
  /** The horizontal position that moves by lines aim at, so that moving back leads back: px. */
  #targetX: number | null = null;

  constructor(
    private readonly alignment: Alignment,
    private readonly responses: ResponseBox,
    private readonly host: NavigationHost,
  ) {}

  goTo(ref: TokenRef, isOpen = false): void {
    this.#targetX = null;
    const isOtherSide = this.current?.side !== ref.side;
    this.current = ref;
    this.host.show(ref, isOtherSide, isOpen);
  }

  /** Move to a span that was selected elsewhere, unless the current token is in it; null clears. */
  setSpan(span: number | null): void {
    if (span === null) this.current = null;
    else if (!this.current || this.alignment.spanOf(this.current) !== span)
      this.current = this.alignment.firstToken(span);
  }

  /** Go to the next or previous difference. */
  goToDifference(by: 1 | -1): void {
    const side = this.current?.side ?? 0;
    const from = this.current ? this.alignment.spanOf(this.current) : null;
    const span = this.alignment.nextDifference(side, from, by, this.host.threshold);
    if (span === null) {
      this.host.notify("no more differences");
      return;
    }
    const [first, end] = this.alignment.rangeIn(span, side);
    this.goTo(end > first ? { side, token: first } : this.alignment.firstToken(span));
  }

  moveByTokens(by: number): void {
    if (this.current)
      this.goToToken(movePosition(this.current.token, by, this.alignment.count(this.current.side)));
    else this.#goToEnd(by);
  }

  /** Go to a token of the same response. */
  goToToken(token: number): void {
    const side = this.current?.side ?? 0;
    if (this.alignment.count(side)) this.goTo({ side, token });
  }

  /** Go to the same unit in the next response that has text there. */
  goToOtherSide(): void {
    const from = this.current;
    if (!from) return;
    for (let by = 1; by < this.alignment.sides; by++) {
      const side = (from.side + by) % this.alignment.sides;
      const unit = this.alignment.unitOf(from);
      const starts = this.alignment.units[side] ?? [];
      const ownFirst = this.alignment.units[from.side]?.[unit] ?? 0;
      const first = starts[unit] ?? 0;
      const end = starts[unit + 1] ?? 0;
      if (end > first) {
        this.goTo({ side, token: Math.min(end - 1, first + from.token - ownFirst) });
        return;
      }
    }
    this.host.notify("no other response has text here");
  }

  /**
   * Move up or down: within the response, or if the lines are interleaved, through all lines that have text, unless
   * `staysOnSide`.
   */
  moveByLines(by: number, staysOnSide = false): void {
    const from = this.current;
    if (!from) {
      this.#goToEnd(by);
      return;
    }
    const { rows, isInterleaved } = this.responses;
    const { sides } = this.alignment;
    const x = this.#targetX ?? rows.centerOf(from);
    let row = rows.rowOf(from);
    let { side } = from;
    let target = from;
    const direction = Math.sign(by);
    for (let remaining = Math.abs(by); remaining > 0; ) {
      if (isInterleaved && !staysOnSide) side += direction;
      else row += direction;
      if (side < 0 || side >= sides) {
        side = (side + sides) % sides;
        row += direction;
      }
      rows.extend(row + 2);
      if (row < 0 || row >= rows.rowCount) break;
      const token = rows.tokenAt(side, row, x);
      if (token === null) continue;
      target = { side, token };
      remaining--;
    }
    this.goTo(target);
    this.#targetX = x;
  }

  /** Without a current token, the first move goes to the first or the last token. */
  #goToEnd(by: number): void {
    const side = this.alignment.stores.findIndex((store) => store.count);
    if (side >= 0) this.goTo({ side, token: movePosition(null, by, this.alignment.count(side)) });
  }
}
