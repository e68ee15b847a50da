// The card of a comparison: shown beside a token, following the pointer or open until it is closed.

import { NO_SAMPLER, type SamplerSettings } from "../data/cuts.ts";
import { writeClipboard } from "../text/clipboard.ts";
import { Card, type CardHost } from "../ui/card.ts";
import { MORE_BUTTON, RowLimit } from "../ui/card_content.ts";
import { button, element, focusedFrom } from "../ui/dom.ts";
import type { Alignment, TokenRef } from "./alignment.ts";
import { contentOf, renderComparison } from "./card_content.ts";
import { LETTERS } from "./letters.ts";
import type { Tools } from "./tools.ts";

/** The view, as the card uses it. */
export interface CardsHost {
  box: HTMLElement;
  names: string[];
  find(ref: TokenRef): HTMLElement | null;
  announce(text: string): void;
  notify(text: string): void;
  goToDifference(by: 1 | -1): void;
}

export class Cards implements CardHost {
  readonly card: Card;
  /** The token whose card is shown. */
  ref: TokenRef | null = null;
  readonly #limit = new RowLimit();

  constructor(
    private readonly alignment: Alignment,
    private readonly host: CardsHost,
    private readonly tools: Tools | null,
  ) {
    this.card = new Card(this);
    this.card.root.classList.add("deluge-facing");
  }

  show(ref: TokenRef, isOpen = false): void {
    const anchor = this.host.find(ref);
    if (!anchor) {
      this.hide();
      return;
    }
    this.ref = ref;
    const limit = this.#limit.of(isOpen ? `${ref.side} ${ref.token}` : "");
    const onMore = (shown: number) => this.#showMore(ref, shown);
    const controls = isOpen ? { onMore } : {};
    const children = renderComparison(this.alignment, this.host.names, ref, this.#sampler, limit, controls);
    if (isOpen) {
      const actions = element("div", "deluge-acts");
      const { tools } = this;
      actions.append(
        button("‹ difference", "Previous difference (p)", () => this.host.goToDifference(-1)),
        button("difference ›", "Next difference (n)", () => this.host.goToDifference(1)),
        ...(tools ? [tools.keepButton(ref, () => this.close())] : []),
        button("copy", "Copy as a table (c)", () => this.copy(ref)),
        button("close", "Close (Escape)", () => this.close()),
      );
      children.push(actions, ...(tools?.cardControls() ?? []));
    }
    this.card.show(ref.token, children, anchor, isOpen);
    if (isOpen) {
      const label = `${LETTERS[ref.side]}, token ${ref.token + 1}, compared with the other responses`;
      this.card.root.setAttribute("aria-label", label);
    }
  }

  get #sampler(): SamplerSettings {
    return this.tools?.sampler ?? NO_SAMPLER;
  }

  /** Copy the alternatives of a token. */
  copy(ref: TokenRef): void {
    writeClipboard(contentOf(this.alignment, ref, this.#sampler).table, () => this.host.notify("copied"));
  }

  /** If a card is shown, show it again, or show that of another token. */
  refresh(ref = this.ref): void {
    if (ref && this.ref) this.show(ref, this.card.isOpen);
  }

  #showMore(ref: TokenRef, limit: number): void {
    this.#limit.set(limit);
    this.refresh();
    this.card.focus(MORE_BUTTON);
    this.host.announce(contentOf(this.alignment, ref, this.#sampler, limit).spokenRows);
  }

  // For the card -------------------------------------------------------------------------------------------------

  get box(): HTMLElement {
    return this.host.box;
  }

  find(): HTMLElement | null {
    return this.ref && this.host.find(this.ref);
  }

  hide(): void {
    this.ref = null;
    this.card.hide();
  }

  close(): void {
    const hadFocus = this.card.root.contains(focusedFrom(this.host.box));
    this.hide();
    if (hadFocus) this.host.box.focus({ preventScroll: true });
  }
}
