// A list of tokens below the text, each with its position and its probability: a row goes to its token.

import { percent } from "../data/format.ts";
import type { Store, TokenRef } from "../data/store.ts";
import { button, element } from "./dom.ts";

/** Tokens in the list, at most. */
export const MAX_LISTED = 100;

/** The view, as the list uses it. */
export interface TokenListHost {
  goTo(ref: TokenRef): void;
  /** Return the focus to the text. */
  leave(): void;
}

export class TokenList {
  readonly root = element("div", "deluge-list");

  /** `fill` returns the tokens whenever the list is opened; `badgeOf` says to which text a token belongs. */
  constructor(
    label: string,
    private readonly stores: readonly Store[],
    private readonly host: TokenListHost,
    private readonly fill: () => TokenRef[],
    private readonly badgeOf: (side: number) => HTMLElement[] = () => [],
  ) {
    this.root.hidden = true;
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", label);
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        this.toggle(false);
        host.leave();
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        const sibling = event.key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling";
        ((event.target as HTMLElement)[sibling] as HTMLElement | null)?.focus();
        event.preventDefault();
      }
      event.stopPropagation();
    });
  }

  get isOpen(): boolean {
    return !this.root.hidden;
  }

  /** Open the list and focus its first row, or close it. */
  toggle(isOpen = !this.isOpen): void {
    this.root.hidden = !isOpen;
    if (!isOpen) return;
    this.update();
    this.root.scrollIntoView({ block: "nearest" });
    this.root.querySelector("button")?.focus({ preventScroll: true });
  }

  /** Write the rows again if the list is open. */
  update(): void {
    if (!this.isOpen) return;
    const rows = this.fill().map((ref) => this.#render(ref));
    this.root.replaceChildren(...(rows.length ? rows : [element("div", "", "no surprises")]));
  }

  #render(ref: TokenRef): HTMLElement {
    const store = this.stores[ref.side];
    const row = button("", "", () => this.host.goTo(ref));
    row.className = "deluge-row";
    const rank = element("span", "deluge-rank", String(ref.token + 1));
    rank.prepend(...this.badgeOf(ref.side));
    row.append(
      rank,
      element("code", "", store?.label(ref.token)),
      element("span", "deluge-percent", percent(Math.exp(store?.logprob[ref.token] ?? Number.NaN))),
    );
    return row;
  }
}
