// Going from token to token, from side to side and from difference to difference.

import { movePosition } from "../ui/keyboard.ts";
import type { Comparison, Place } from "./alignment.ts";
import type { Rows } from "./row_layout.ts";
import type { Sheet } from "./row_renderer.ts";

export interface Around {
  threshold(): number;
  /** Told where it has gone to, whether that is another response than before, and whether the card is to be open. */
  went(place: Place, turned: boolean, open: boolean): void;
  say(text: string): void;
}

export class Walk {
  /** Where the keyboard is. */
  at: Place | null = null;
  /** Where up and down aim at, so that going back leads back. */
  private column: number | null = null;

  constructor(
    private readonly comparison: Comparison,
    private readonly rows: Rows,
    private readonly sheet: Sheet,
    private readonly around: Around,
  ) {}

  go(place: Place, open = false): void {
    this.column = null;
    const turned = this.at?.side !== place.side;
    this.at = place;
    this.around.went(place, turned, open);
  }

  /** Stand where a span is, wherever the keyboard is not there yet. */
  take(span: number | null): void {
    if (span === null) this.at = null;
    else if (!this.at || this.comparison.spanOf(this.at) !== span) this.at = this.comparison.firstOf(span);
  }

  /** To the next difference, or the one before. */
  step(by: 1 | -1): void {
    const side = this.at?.side ?? 0;
    const from = this.at ? this.comparison.spanOf(this.at) : null;
    const span = this.comparison.nextDifference(side, from, by, this.around.threshold());
    if (span === null) {
      this.around.say("no more differences");
      return;
    }
    const [first, end] = this.comparison.within(span, side);
    this.go(end > first ? { side, token: first } : this.comparison.firstOf(span));
  }

  byTokens(by: number): void {
    if (this.at) this.to(movePosition(this.at.token, by, this.comparison.count(this.at.side)));
    else this.enter(by);
  }

  /** To a token of the same response. */
  to(token: number): void {
    const side = this.at?.side ?? 0;
    if (this.comparison.count(side)) this.go({ side, token });
  }

  otherSide(): void {
    const from = this.at;
    if (!from) return;
    for (let by = 1; by < this.comparison.sides; by++) {
      const side = (from.side + by) % this.comparison.sides;
      const unit = this.comparison.unitOf(from);
      const starts = this.comparison.units[side] ?? [];
      const own = this.comparison.units[from.side]?.[unit] ?? 0;
      const first = starts[unit] ?? 0;
      const end = starts[unit + 1] ?? 0;
      if (end > first) {
        this.go({ side, token: Math.min(end - 1, first + from.token - own) });
        return;
      }
    }
    this.around.say("no other response has anything here");
  }

  /** A line above or below: of the same response, or where they are interleaved the next that has text. */
  byLines(by: number): void {
    const from = this.at;
    if (!from) {
      this.enter(by);
      return;
    }
    const aim = this.column ?? this.rows.middle(from.side, from.token);
    const { sides } = this.comparison;
    const { interleaved } = this.sheet;
    let row = this.rows.rowOf(from.side, from.token);
    let { side } = from;
    let found = from;
    const way = Math.sign(by);
    for (let left = Math.abs(by); left > 0; ) {
      if (interleaved) side += way;
      else row += way;
      if (side < 0 || side >= sides) {
        side = (side + sides) % sides;
        row += way;
      }
      this.rows.extend(row + 2);
      if (row < 0 || row >= this.rows.length) break;
      const token = this.rows.nearest(side, row, aim);
      if (token === null) continue;
      found = { side, token };
      left--;
    }
    this.go(found);
    this.column = aim;
  }

  /** The first move leads to an end of what there is. */
  private enter(by: number): void {
    const side = this.comparison.stores.findIndex((store) => store.count);
    if (side >= 0) this.go({ side, token: movePosition(null, by, this.comparison.count(side)) });
  }
}
