// The surprises of one view, tokens below the threshold: their number, the way from one to the next, and their list.

import { percent } from "../data/format.ts";
import { countSurprises, mostSurprising, nextSurprise } from "../data/search.ts";
import type { Store, TokenRef } from "../data/store.ts";
import { IdleTask } from "../ui/idle_tasks.ts";
import { MAX_LISTED, TokenList, type TokenListHost } from "../ui/token_list.ts";
import type { Model } from "./model.ts";
import type { Selection } from "./selection.ts";

/** Tokens that are counted at once; the rest of a longer text follows in idle time. */
const STEP = 65_536;

/** The view, as its surprises use it. */
export interface SurprisesHost {
  toolbar: { showSurprises(count: number, threshold: string, isListOpen: boolean): void };
  selection: Selection;
  goTo(ref: TokenRef): void;
  notify(text: string): void;
  /** Return the focus to the text. */
  leave(): void;
}

export class Surprises implements TokenListHost {
  readonly list: TokenList;
  /** The number of surprises among the first `countedTokens` tokens, for this threshold. */
  #count = 0;
  #countedTokens = 0;
  #threshold = 0;
  readonly #task: IdleTask;

  constructor(
    private readonly model: Model,
    private readonly store: Store,
    private readonly host: SurprisesHost,
    signal: AbortSignal,
  ) {
    this.#task = new IdleTask(signal);
    this.list = new TokenList("Surprises, least probable first", [store], this, () =>
      mostSurprising([store], this.#threshold, MAX_LISTED),
    );
  }

  goTo(ref: TokenRef): void {
    this.host.goTo(ref);
  }

  /** The list has closed itself. */
  leave(): void {
    this.#show();
    this.host.leave();
  }

  step(by: 1 | -1): void {
    const token = nextSurprise(this.store, this.model.get("threshold"), this.host.selection.token, by);
    if (token !== null) this.host.goTo({ side: 0, token });
    else this.host.notify("no surprises");
  }

  /** Count the surprises from `first` on; count all again if the threshold has changed. */
  update(first: number): void {
    const threshold = this.model.get("threshold");
    if (threshold !== this.#threshold || first < this.#countedTokens) {
      this.#count = this.#countedTokens = 0;
      this.#threshold = threshold;
    }
    const steps = this.#countRest();
    this.#task.stop();
    if (!steps.next().done) this.#task.start(steps, () => this.#show());
    this.#show();
    this.list.update();
  }

  *#countRest(): Generator<void> {
    const { store } = this;
    while (this.#countedTokens < store.count) {
      const end = Math.min(store.count, this.#countedTokens + STEP);
      this.#count += countSurprises(store, this.#threshold, this.#countedTokens, end);
      this.#countedTokens = end;
      if (end < store.count) yield;
    }
  }

  toggleList(): void {
    this.list.toggle();
    this.#show();
  }

  #show(): void {
    this.host.toolbar.showSurprises(this.#count, percent(this.#threshold), this.list.isOpen);
  }
}
