// The cards that stay below the text until they are removed. What they say is passed in.

import { button, element, keepFocus } from "./dom.ts";

export interface PinnedCard {
  /** Identifies the card, as long as it stays. */
  key: string;
  /** The name of its token. */
  name: string;
  goTo(): void;
  remove(): void;
  /** The content with the number of alternatives that *more* has asked for. */
  render(limit: number | undefined, onMore: (limit: number) => void): HTMLElement[];
}

export class PinnedCards {
  readonly root = element("div", "deluge-pins");
  readonly #limits = new Map<string, number>();

  /** `refresh` shows the cards again. */
  constructor(private readonly refresh: () => void) {
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Kept cards");
    this.root.hidden = true;
  }

  show(pinned: PinnedCard[]): void {
    this.root.hidden = pinned.length === 0;
    const cards = pinned.map(({ key, name, goTo, remove, render }) => {
      const card = element("div", "deluge-pin");
      const actions = element("div", "deluge-acts");
      actions.append(button(name, `Go to ${name}`, goTo), button("×", `Remove the card of ${name}`, remove));
      const onMore = (limit: number) => {
        this.#limits.set(key, limit);
        this.refresh();
      };
      card.append(actions, ...render(this.#limits.get(key), onMore));
      return card;
    });
    keepFocus(this.root, () => this.root.replaceChildren(...cards));
  }
}
