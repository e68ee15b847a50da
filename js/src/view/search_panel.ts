// Finds things in one view: the matches of a text search, and the surprises (tokens below the threshold) with their list.

import { percent } from "../data/format.ts";
import { countSurprises, mostSurprising, nextSurprise, Search } from "../data/search.ts";
import type { Store } from "../data/store.ts";
import { button, element } from "../ui/dom.ts";
import { IdleTask } from "../ui/idle_tasks.ts";
import type { Model } from "./model.ts";
import type { Selection } from "./selection.ts";
import type { Toolbar, ToolbarActions } from "./toolbar.ts";

/** Surprises in the list, at most. */
const MAX_LISTED = 100;

/** The view, as the panel uses it. */
export interface SearchPanelHost {
  toolbar: Toolbar;
  selection: Selection;
  goTo(token: number): void;
  notify(text: string): void;
  repaint(): void;
  /** Return the focus to the text. */
  leave(): void;
}

export class SearchPanel implements ToolbarActions {
  readonly list = element("div", "deluge-list");
  #search: Search | null = null;
  readonly #searchTask: IdleTask;
  /** The direction to go in once there is a match: a key may be pressed before the search finds one. */
  #pendingStep: 1 | -1 | null = null;
  /** The number of surprises among the first `countedTokens` tokens, for this threshold. */
  #surpriseCount = 0;
  #countedTokens = 0;
  #threshold = 0;

  constructor(
    private readonly model: Model,
    private readonly store: Store,
    private readonly host: SearchPanelHost,
    signal: AbortSignal,
  ) {
    this.#searchTask = new IdleTask(signal);
    this.list.hidden = true;
    this.list.setAttribute("role", "group");
    this.list.setAttribute("aria-label", "Surprises, least probable first");
    this.list.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        this.toggleList(false);
        host.leave();
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        const sibling = event.key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling";
        ((event.target as HTMLElement)[sibling] as HTMLElement | null)?.focus();
        event.preventDefault();
      }
      event.stopPropagation();
    });
  }

  /** True if a token is part of a search match. */
  isMatch(token: number): boolean {
    return this.#search?.has(token) ?? false;
  }

  searchFor(query: string): void {
    this.#search = query ? new Search(this.store, query) : null;
    this.#pendingStep = null;
    this.#runSearch();
  }

  goToMatch(by: 1 | -1): void {
    const search = this.#search;
    if (!search) return;
    const nearest = () => search.nearest(this.host.selection.token, by);
    let match = nearest();
    if (!match) {
      // The search waits for frames; a key press should not. Search for a moment here.
      const end = performance.now() + 8;
      for (const _ of search.run()) {
        match = nearest();
        if (match || performance.now() > end) break;
      }
    }
    this.#pendingStep = match || search.done ? null : by;
    if (!match && search.done) this.host.notify("nothing found");
    if (!match) return;
    this.host.goTo(match[0]);
    this.#showMatchCount();
  }

  goToSurprise(by: 1 | -1): void {
    const token = nextSurprise(this.store, this.model.get("threshold"), this.host.selection.token, by);
    if (token !== null) this.host.goTo(token);
    else this.host.notify("no surprises");
  }

  /** Tokens from `first` on are new or have changed. */
  update(first: number): void {
    this.updateSurprises(first);
    if (!this.#search) return;
    this.#search.invalidate(first);
    this.#runSearch();
  }

  /** Count the surprises from `first` on; count all again if the threshold has changed. */
  updateSurprises(first: number): void {
    const threshold = this.model.get("threshold");
    if (threshold !== this.#threshold || first < this.#countedTokens) {
      this.#surpriseCount = this.#countedTokens = 0;
      this.#threshold = threshold;
    }
    this.#surpriseCount += countSurprises(this.store, threshold, this.#countedTokens);
    this.#countedTokens = this.store.count;
    this.#showSurpriseCount();
    if (!this.list.hidden) this.#fillList();
  }

  toggleList(isShown = this.list.hidden): void {
    this.list.hidden = !isShown;
    this.#showSurpriseCount();
    if (!isShown) return;
    this.#fillList();
    this.list.querySelector("button")?.focus({ preventScroll: true });
  }

  leave(): void {
    this.host.leave();
  }

  #showSurpriseCount(): void {
    this.host.toolbar.showSurprises(this.#surpriseCount, percent(this.#threshold), !this.list.hidden);
  }

  #runSearch(): void {
    const afterSlice = () => {
      this.#showMatchCount();
      this.host.repaint();
      if (this.#pendingStep) this.goToMatch(this.#pendingStep);
    };
    if (this.#search) this.#searchTask.start(this.#search.run(), afterSlice);
    else {
      this.#searchTask.stop();
      afterSlice();
    }
  }

  #showMatchCount(): void {
    const search = this.#search;
    const token = this.host.selection.token;
    const index = search && token !== null ? search.indexOf(token) : null;
    const position = index === null ? "" : `${index + 1} of `;
    this.host.toolbar.showMatches(search ? `${position}${search.matches.length}` : "");
  }

  #fillList(): void {
    const rows = mostSurprising(this.store, this.#threshold, MAX_LISTED).map((token) => {
      const row = button("", "", () => this.host.goTo(token));
      row.className = "deluge-row";
      row.append(
        element("span", "deluge-rank", String(token + 1)),
        element("code", "", this.store.label(token)),
        element("span", "deluge-percent", percent(Math.exp(this.store.logprob[token] ?? Number.NaN))),
      );
      return row;
    });
    this.list.replaceChildren(...(rows.length ? rows : [element("div", "", "no surprises")]));
  }
}
