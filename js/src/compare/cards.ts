// The card of a comparison, beside a token: what it says, and how long it stays.

import { Card } from "../ui/card.ts";
import { button, element, rootOf } from "../ui/dom.ts";
import { type Comparison, LETTERS, type Place } from "./alignment.ts";
import { faces } from "./card_content.ts";

export interface Around {
  box: HTMLElement;
  names(): string[];
  find(place: Place): HTMLElement | null;
  step(by: 1 | -1): void;
}

export class Desk {
  readonly card: Card;
  /** Of what the card is. */
  place: Place | null = null;

  constructor(
    private readonly comparison: Comparison,
    private readonly around: Around,
  ) {
    this.card = new Card({
      box: around.box,
      find: () => this.place && around.find(this.place),
      hide: () => this.hide(),
      close: () => this.close(),
    });
    this.card.root.classList.add("deluge-facing");
  }

  show(place: Place, open = false): void {
    const anchor = this.around.find(place);
    if (!anchor) {
      this.hide();
      return;
    }
    this.place = place;
    const children = faces(this.comparison, this.around.names(), place);
    if (open) {
      const acts = element("div", "deluge-acts");
      acts.append(
        button("‹ difference", "Previous difference (p)", () => this.around.step(-1)),
        button("difference ›", "Next difference (n)", () => this.around.step(1)),
        button("close", "Close (Escape)", () => this.close()),
      );
      children.push(acts);
    }
    this.card.show(place.token, children, anchor, open);
    if (open) {
      const name = `${LETTERS[place.side]}, token ${place.token + 1}, and what faces it`;
      this.card.root.setAttribute("aria-label", name);
    }
  }

  /** Something that the card says has changed, or of what it is. */
  refresh(place = this.place): void {
    if (place && this.place) this.show(place, this.card.isOpen);
  }

  hide(): void {
    this.place = null;
    this.card.hide();
  }

  close(): void {
    const within = this.card.root.contains(rootOf(this.around.box).activeElement);
    this.hide();
    if (within) this.around.box.focus({ preventScroll: true });
  }
}
