// What a comparison of its own has beside the text: search, the list of the least probable tokens, kept cards, and the
// sampler of the cards. The comparison of a row in a table does without.

import type { SamplerSettings } from "../data/cuts.ts";
import { mostSurprising } from "../data/search.ts";
import type { TokenRef } from "../data/store.ts";
import { onChange, setTrait } from "../host/traits.ts";
import { group } from "../ui/bar.ts";
import { button } from "../ui/dom.ts";
import type { Action } from "../ui/keyboard.ts";
import { type PinnedCard, PinnedCards } from "../ui/pinned_cards.ts";
import { SAMPLER_TRAITS, SamplerControls, samplerSettings } from "../ui/sampler_controls.ts";
import { type SearchHost, SearchPanel } from "../ui/search_panel.ts";
import { MAX_LISTED, TokenList } from "../ui/token_list.ts";
import type { Alignment } from "./alignment.ts";
import { renderComparison } from "./card_content.ts";
import { badge, LETTERS } from "./letters.ts";
import type { Model } from "./model.ts";

/** The least tokens that have controls for the tools; fewer are seen at a glance. The keys work in any case. */
const MANY = 30;
/** The width from which on the controls fit beside the summary: px. */
const WIDE = 640;

/** The view, as its tools use it. */
export interface ToolsHost extends SearchHost {
  readonly names: string[];
  /** Show the open card again: the sampler has changed, or it is kept now. */
  refreshCard(): void;
}

/** The tools, as a comparison uses them. */
export interface Tools {
  /** Keys and what they do, for the help. */
  readonly keys: [string, string][];
  /** Controls beside the summary, and parts below the text. */
  readonly controls: HTMLElement;
  readonly below: HTMLElement[];
  readonly sampler: SamplerSettings;
  /** Show the controls in a widget of another width. */
  fold(width: number): void;
  /** Run the action of a key. Returns false if it is none of these. */
  run(action: Action): boolean;
  /** Class names of a token, each with a space in front. */
  classesOf(ref: TokenRef): string;
  /** What an open card has beside its content, and its own buttons. */
  cardControls(): HTMLElement[];
  keepButton(ref: TokenRef, close: () => void): HTMLElement;
  /** Data have arrived. */
  refresh(): void;
}

export const createTools = (
  model: Model,
  alignment: Alignment,
  host: ToolsHost,
  signal: AbortSignal,
): Tools => new ComparisonTools(model, alignment, host, signal);

class ComparisonTools implements Tools {
  readonly keys: Tools["keys"] = [
    ["/", "search; then Enter, or g and G for the next and previous match"],
    ["s", "list of the least probable tokens"],
    ["k", "keep the card below the text"],
  ];
  readonly controls: HTMLElement;
  readonly below: HTMLElement[];
  readonly #search: SearchPanel;
  readonly #list: TokenList;
  readonly #listButton = button("least probable", "List of the least probable tokens (s)", () =>
    this.#toggleList(),
  );
  readonly #pins = new PinnedCards(() => this.refresh());
  /** Created with the first open card. */
  #sampler: SamplerControls | undefined;
  readonly #isLong: boolean;

  constructor(
    private readonly model: Model,
    private readonly alignment: Alignment,
    private readonly host: ToolsHost,
    signal: AbortSignal,
  ) {
    const { stores } = alignment;
    this.#search = new SearchPanel(stores, host, signal);
    const fill = () => mostSurprising(stores, 1, MAX_LISTED);
    this.#list = new TokenList("Tokens, least probable first", stores, this, fill, (side) => [badge(side)]);
    this.#isLong = stores.some((store) => store.count >= MANY);
    this.controls = group(this.#search.root, this.#listButton);
    this.controls.classList.add("deluge-tools");
    this.below = [this.#list.root, this.#pins.root];
    this.fold(0);
    onChange(
      model,
      [...SAMPLER_TRAITS, "pinned"],
      () => {
        this.refresh();
        host.refreshCard();
        host.repaint();
      },
      signal,
    );
  }

  get sampler(): SamplerSettings {
    return samplerSettings(this.model);
  }

  fold(width: number): void {
    const isShown = this.#isLong && width >= WIDE;
    this.#search.keep(isShown);
    this.#listButton.hidden = !isShown;
  }

  run(action: Action): boolean {
    const { current } = this.host;
    if (action.kind === "search") this.#search.focus();
    else if (action.kind === "match") this.#search.goToMatch(action.by);
    else if (action.kind === "list") this.#toggleList();
    else if (action.kind === "pin" && current) this.#togglePin(current);
    else return false;
    return true;
  }

  classesOf(ref: TokenRef): string {
    return `${this.#search.isMatch(ref) ? " deluge-hit" : ""}${this.#isPinned(ref) ? " deluge-pinned" : ""}`;
  }

  cardControls(): HTMLElement[] {
    this.#sampler ??= new SamplerControls(this.model);
    this.#sampler.update();
    return [this.#sampler.root];
  }

  keepButton(ref: TokenRef, close: () => void): HTMLElement {
    const isPinned = this.#isPinned(ref);
    const title = isPinned ? "Remove the card below the text (k)" : "Keep the card below the text (k)";
    return button(isPinned ? "remove" : "keep", title, () => {
      this.#togglePin(ref);
      // The card would cover the pinned ones.
      close();
    });
  }

  refresh(): void {
    this.#pins.show(this.#pinned.map((ref) => this.#pinnedCard(ref)));
    this.#list.update();
  }

  // For the list -------------------------------------------------------------------------------------------------

  goTo(ref: TokenRef): void {
    this.host.goTo(ref);
  }

  /** The list has closed itself. */
  leave(): void {
    this.#showListState();
    this.host.leave();
  }

  #toggleList(): void {
    this.#list.toggle();
    this.#showListState();
  }

  #showListState(): void {
    this.#listButton.setAttribute("aria-expanded", String(this.#list.isOpen));
  }

  // Kept cards ---------------------------------------------------------------------------------------------------

  get #pinned(): TokenRef[] {
    const refs = (this.model.get("pinned") ?? []).map(([side, token]) => ({ side, token }));
    return refs.filter(({ side, token }) => token < this.alignment.count(side));
  }

  #isPinned({ side, token }: TokenRef): boolean {
    return (this.model.get("pinned") ?? []).some((pin) => pin[0] === side && pin[1] === token);
  }

  #togglePin(ref: TokenRef): void {
    const isAdded = !this.#isPinned(ref);
    const others = this.#pinned.filter(({ side, token }) => side !== ref.side || token !== ref.token);
    const refs = isAdded ? [...others, ref] : others;
    setTrait(
      this.model,
      "pinned",
      refs.map(({ side, token }) => [side, token]),
    );
    this.host.notify(isAdded ? "card kept" : "card removed");
  }

  #pinnedCard(ref: TokenRef): PinnedCard {
    return {
      key: `${ref.side} ${ref.token}`,
      name: `${LETTERS[ref.side]}, token ${ref.token + 1}`,
      goTo: () => this.host.goTo(ref),
      remove: () => this.#togglePin(ref),
      render: (limit, onMore) =>
        renderComparison(this.alignment, this.host.names, ref, this.sampler, limit, { onMore }),
    };
  }
}
