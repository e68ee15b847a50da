// Going from token to token.

import type { Store } from "../data/store.ts";
import type { TextBox } from "../text/text_box.ts";
import { type Move, movePosition } from "../ui/keyboard.ts";
import type { Desk } from "./cards.ts";
import type { Chosen } from "./selection.ts";

export class Walk {
  /** Where up and down aim at, so that going back leads back. */
  private column: number | null = null;

  constructor(
    private readonly store: Store,
    private readonly chosen: Chosen,
    private readonly paper: TextBox,
    private readonly desk: Desk,
    private readonly say: (text: string) => void,
    /** Told when another part of the text may be in sight. */
    private readonly seen: () => void,
  ) {}

  go(token: number, open = this.desk.card.isOpen): void {
    this.column = null;
    this.stand(token, open);
  }

  move(move: Move): void {
    const from = this.chosen.token;
    const { count } = this.store;
    if (move.kind === "to") this.go(move.token);
    else if (move.kind === "token" || from === null) this.go(movePosition(from, move.by, count));
    else this.byLines(from, move.by);
  }

  private byLines(from: number, by: number): void {
    const { layout } = this.paper;
    this.paper.reveal(from);
    const line = movePosition(layout.lineOf(from), by, layout.lineCount);
    const aim = this.column ?? layout.centerOf(from);
    this.stand(layout.tokenAt(line, aim), this.desk.card.isOpen);
    this.column = aim;
  }

  private stand(token: number, open: boolean): void {
    if (token < 0 || token >= this.store.count) return;
    this.chosen.select(token);
    this.paper.reveal(token);
    this.seen();
    this.desk.show(token, open);
    this.say(this.desk.reading(token).spoken);
  }
}
