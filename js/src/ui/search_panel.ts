// Searches the texts of a widget: the field for the query, the number of matches, and the way from match to match.

import { Searches } from "../data/search.ts";
import type { Store, TokenRef } from "../data/store.ts";
import { group } from "./bar.ts";
import { element, focusedFrom, input } from "./dom.ts";
import { IdleTask } from "./idle_tasks.ts";

/** The view, as the search uses it. */
export interface SearchHost {
  readonly current: TokenRef | null;
  goTo(ref: TokenRef): void;
  notify(text: string): void;
  repaint(): void;
  /** Return the focus to the text. */
  leave(): void;
}

export class SearchPanel {
  readonly root: HTMLElement;
  readonly #field = input({ type: "search", className: "deluge-search", placeholder: "search  /" });
  readonly #matchCount = element("span", "deluge-count");
  #search: Searches | null = null;
  readonly #task: IdleTask;
  /** The direction to go in once there is a match: a key may be pressed before the search finds one. */
  #pendingStep: 1 | -1 | null = null;
  #isKept = true;

  constructor(
    private readonly stores: readonly Store[],
    private readonly host: SearchHost,
    signal: AbortSignal,
  ) {
    this.#task = new IdleTask(signal);
    this.root = group(this.#field, this.#matchCount);
    const field = this.#field;
    field.setAttribute("aria-label", "Search the text");
    field.addEventListener("input", () => this.#searchFor(field.value));
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") this.goToMatch(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") host.leave();
      else return;
      event.preventDefault();
    });
    // A field that a key has opened stays as long as it is used.
    field.addEventListener("blur", () => this.#fold());
  }

  get query(): string {
    return this.#field.value;
  }

  /** Search for the query of an earlier view of the same answer. */
  restore(query: string): void {
    this.#field.value = query;
    this.#fold();
    if (query) this.#searchFor(query);
  }

  /** Show the field even while it is not used, or only while it is. */
  keep(isKept: boolean): void {
    this.#isKept = isKept;
    this.#fold();
  }

  #fold(): void {
    const isUsed = this.query !== "" || focusedFrom(this.#field) === this.#field;
    this.root.hidden = !this.#isKept && !isUsed;
  }

  focus(): void {
    this.root.hidden = false;
    this.#field.focus();
    this.#field.select();
  }

  /** True if a token is part of a match. */
  isMatch(ref: TokenRef): boolean {
    return this.#search?.has(ref) ?? false;
  }

  /** Tokens from `first` on are new or have changed. */
  update(first: number): void {
    if (!this.#search) return;
    this.#search.invalidate(first);
    this.#run();
  }

  #searchFor(query: string): void {
    this.#search = query ? new Searches(this.stores, query) : null;
    this.#pendingStep = null;
    this.#run();
  }

  goToMatch(by: 1 | -1): void {
    const search = this.#search;
    if (!search) return;
    const nearest = () => search.nearest(this.host.current, by);
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
    this.host.goTo(match);
    this.#showCount();
  }

  #run(): void {
    const afterSlice = () => {
      this.#showCount();
      this.host.repaint();
      if (this.#pendingStep) this.goToMatch(this.#pendingStep);
    };
    if (this.#search) this.#task.start(this.#search.run(), afterSlice);
    else {
      this.#task.stop();
      afterSlice();
    }
  }

  #showCount(): void {
    const search = this.#search;
    const { current } = this.host;
    const index = search && current ? search.indexOf(current) : null;
    const position = index === null ? "" : `${index + 1} of `;
    this.#matchCount.textContent = search ? `${position}${search.count()}` : "";
  }
}
