// Moves the selection from token to token: scrolls to it, shows its card and announces it.

import type { Store } from "../data/store.ts";
import type { TextBox } from "../text/text_box.ts";
import { type Move, movePosition } from "../ui/keyboard.ts";
import type { Cards } from "./cards.ts";
import type { Selection } from "./selection.ts";

/** The view, as navigation uses it. */
export interface NavigationHost {
  announce(text: string): void;
  /** Called when other tokens may have become visible. */
  scrolled(): void;
}

export class Navigation {
  /** The horizontal position that moves by lines aim at, so that moving back leads back: px. */
  #targetX: number | null = null;

  constructor(
    private readonly store: Store,
    private readonly selection: Selection,
    private readonly textBox: TextBox,
    private readonly cards: Cards,
    private readonly host: NavigationHost,
  ) {}

  goTo(token: number, isOpen = this.cards.card.isOpen): void {
    this.#targetX = null;
    this.#select(token, isOpen);
  }

  move(move: Move): void {
    const from = this.selection.token;
    const { count } = this.store;
    if (move.kind === "to") this.goTo(move.token);
    else if (move.kind === "token" || from === null) this.goTo(movePosition(from, move.by, count));
    else this.#moveByLines(from, move.by);
  }

  #moveByLines(from: number, by: number): void {
    const { layout } = this.textBox;
    this.textBox.reveal(from);
    const line = movePosition(layout.lineOf(from), by, layout.lineCount);
    const x = this.#targetX ?? layout.centerOf(from);
    this.#select(layout.tokenAt(line, x), this.cards.card.isOpen);
    this.#targetX = x;
  }

  #select(token: number, isOpen: boolean): void {
    if (token < 0 || token >= this.store.count) return;
    this.selection.select(token);
    this.textBox.reveal(token);
    this.host.scrolled();
    this.cards.show(token, isOpen);
    this.host.announce(this.cards.contentOf(token).spoken);
  }
}
