// The cards of one view: the card beside a token, and the pinned cards below the text.

import type { Store, TokenRef } from "../data/store.ts";
import { setTrait } from "../host/traits.ts";
import { writeClipboard } from "../text/clipboard.ts";
import { Card, type CardHost } from "../ui/card.ts";
import { CardContent, MORE_BUTTON, RowLimit, renderContent } from "../ui/card_content.ts";
import { button, element, focusedFrom } from "../ui/dom.ts";
import { type PinnedCard, PinnedCards } from "../ui/pinned_cards.ts";
import { SAMPLER_TRAITS, SamplerControls, samplerSettings } from "../ui/sampler_controls.ts";
import type { Model } from "./model.ts";

/** The traits that cards show. */
export const CARD_TRAITS = [...SAMPLER_TRAITS, "pinned", "branching"] as const;

/** The view, as the cards use it. */
export interface CardsHost {
  root: HTMLElement;
  box: HTMLElement;
  find(token: number): HTMLElement | null;
  goTo(ref: TokenRef): void;
  announce(text: string): void;
  notify(text: string): void;
  /** Send a request to the model, and show that it runs. */
  ask(content: object): void;
}

export class Cards implements CardHost {
  readonly card: Card;
  readonly pinned = new PinnedCards(() => this.refresh());

  readonly #limit = new RowLimit();
  /** Created with the first open card. */
  #sampler: SamplerControls | undefined;

  constructor(
    private readonly model: Model,
    private readonly store: Store,
    private readonly host: CardsHost,
  ) {
    this.card = new Card(this);
  }

  contentOf(token: number, limit?: number): CardContent {
    const { store } = this;
    store.requestMeasures();
    return new CardContent(store, token, store.alternatives(token), samplerSettings(this.model), limit);
  }

  /** Show the card of a token. An open card has controls, and stays until it is closed. */
  show(token: number, isOpen = false): void {
    const anchor = this.host.find(token);
    if (!anchor || token >= this.store.count) return;
    const content = this.contentOf(token, this.#limit.of(isOpen ? String(token) : ""));
    const onMore = (limit: number) => this.#showMore(limit);
    const children = renderContent(content, isOpen ? { onBranch: this.#onBranch, onMore } : {});
    if (isOpen) children.push(...this.#renderControls(content));
    this.card.show(token, children, anchor, isOpen);
  }

  /** Show all cards again: data has arrived, or the temperature has changed. */
  refresh(): void {
    if (this.card.token !== null) this.show(this.card.token, this.card.isOpen);
    const tokens = this.model.get("pinned").filter((token) => token < this.store.count);
    this.pinned.show(tokens.map((token) => this.#pinnedCard(token)));
  }

  #pinnedCard(token: number): PinnedCard {
    return {
      key: String(token),
      name: `token ${token + 1}`,
      goTo: () => this.host.goTo({ side: 0, token }),
      remove: () => this.togglePin(token),
      render: (limit, onMore) => renderContent(this.contentOf(token, limit), { onMore }),
    };
  }

  #showMore(limit: number): void {
    this.#limit.set(limit);
    this.refresh();
    this.card.focus(MORE_BUTTON);
    const { token } = this.card;
    if (token !== null) this.host.announce(this.contentOf(token, limit).spokenRows);
  }

  togglePin(token: number): void {
    const pinned = this.model.get("pinned");
    const isAdded = !pinned.includes(token);
    setTrait(this.model, "pinned", isAdded ? [...pinned, token] : pinned.filter((other) => other !== token));
    this.host.notify(isAdded ? "card kept" : "card removed");
  }

  copy(content: CardContent): void {
    writeClipboard(content.table, () => this.host.notify("copied"));
  }

  /** Continue from an alternative, by its index; null if that is impossible. */
  get #onBranch(): ((token: number, index: number) => void) | null {
    if (this.model.get("branching") !== "") return null;
    return (token, index) => {
      this.host.ask({ branch: { node: this.model.get("node"), token, place: index } });
    };
  }

  #renderControls(content: CardContent): HTMLElement[] {
    this.#sampler ??= new SamplerControls(this.model);
    this.#sampler.update();
    const actions = element("div", "deluge-acts");
    const isPinned = this.model.get("pinned").includes(content.token);
    actions.append(
      button(
        isPinned ? "remove" : "keep",
        isPinned ? "Remove the card below the text (k)" : "Keep the card below the text (k)",
        () => {
          this.togglePin(content.token);
          // The card would cover the pinned ones.
          this.close();
        },
      ),
      button("copy", "Copy as a table (c)", () => this.copy(content)),
      button("close", "Close (Escape)", () => this.close()),
    );
    const controls = content.rows.length ? [this.#sampler.root, actions] : [actions];
    const reason = this.model.get("branching");
    if (reason) controls.push(element("div", "deluge-card-facts", reason));
    return controls;
  }

  // For the card -------------------------------------------------------------------------------------------------

  get box(): HTMLElement {
    return this.host.box;
  }

  find(): HTMLElement | null {
    return this.card.token === null ? null : this.host.find(this.card.token);
  }

  hide(): void {
    this.card.hide();
  }

  close(): void {
    const hadFocus = this.card.root.contains(focusedFrom(this.host.root));
    this.card.hide();
    if (hadFocus) this.host.box.focus({ preventScroll: true });
  }
}
