// Looking for things in one view: a text, and the tokens that the model did not expect.

import { percent } from "../data/scale.ts";
import { countSurprises, mostSurprising, nextSurprise, Search } from "../data/search.ts";
import type { Store } from "../data/store.ts";
import { button, element } from "../ui/dom.ts";
import { IdleTask } from "../ui/idle_tasks.ts";
import type { Model } from "./model.ts";
import type { Tools } from "./toolbar.ts";

/** So many surprises are listed. */
const LISTED = 100;

export interface Around {
  tools(): Tools;
  selected(): number | null;
  go(token: number): void;
  say(text: string): void;
  repaint(): void;
  leave(): void;
}

export class Seeker {
  readonly list = element("div", "deluge-list");
  private search: Search | null = null;
  private readonly searching: IdleTask;
  /** Which way to go as soon as there is a hit: keys may be faster than the search. */
  private wanted: 1 | -1 | null = null;
  private found = 0;
  private looked = 0;
  private threshold = 0;

  constructor(
    private readonly model: Model,
    private readonly store: Store,
    private readonly around: Around,
    signal: AbortSignal,
  ) {
    this.searching = new IdleTask(signal);
    this.list.hidden = true;
    this.list.setAttribute("role", "group");
    this.list.setAttribute("aria-label", "Surprises, the least probable first");
    this.list.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        this.toggle(false);
        around.leave();
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        const to = event.key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling";
        ((event.target as HTMLElement)[to] as HTMLElement | null)?.focus();
        event.preventDefault();
      }
      event.stopPropagation();
    });
  }

  /** Whether a token is part of what is searched for. */
  hits(token: number): boolean {
    return this.search?.has(token) ?? false;
  }

  seek(text: string): void {
    this.search = text ? new Search(this.store, text) : null;
    this.wanted = null;
    this.run();
  }

  toHit(by: 1 | -1): void {
    const { search } = this;
    if (!search) return;
    const nearest = () => search.nearest(this.around.selected(), by);
    let hit = nearest();
    if (!hit) {
      // The search waits for frames; whoever asks for a hit does not.
      const end = performance.now() + 8;
      for (const _ of search.run()) {
        hit = nearest();
        if (hit || performance.now() > end) break;
      }
    }
    this.wanted = hit || search.done ? null : by;
    if (!hit) return;
    this.around.go(hit[0]);
    this.tell();
  }

  toSurprise(by: 1 | -1): void {
    const token = nextSurprise(this.store, this.model.get("threshold"), this.around.selected(), by);
    if (token !== null) this.around.go(token);
    else this.around.say("no surprises");
  }

  /** Rows from one on are new. */
  renew(first: number): void {
    this.count(first);
    if (!this.search) return;
    this.search.invalidate(first);
    this.run();
  }

  /** Count the surprises among what is new, or among all where the threshold is. */
  count(first: number): void {
    const threshold = this.model.get("threshold");
    if (threshold !== this.threshold || first < this.looked) {
      this.found = this.looked = 0;
      this.threshold = threshold;
    }
    this.found += countSurprises(this.store, threshold, this.looked);
    this.looked = this.store.count;
    this.show();
    if (!this.list.hidden) this.fill();
  }

  toggle(shown = this.list.hidden): void {
    this.list.hidden = !shown;
    this.show();
    if (!shown) return;
    this.fill();
    this.list.querySelector("button")?.focus({ preventScroll: true });
  }

  private show(): void {
    this.around.tools().showSurprises(this.found, percent(this.threshold), !this.list.hidden);
  }

  private run(): void {
    const between = () => {
      this.tell();
      this.around.repaint();
      if (this.wanted) this.toHit(this.wanted);
    };
    if (this.search) this.searching.start(this.search.run(), between);
    else {
      this.searching.stop();
      between();
    }
  }

  private tell(): void {
    const { search } = this;
    const token = this.around.selected();
    const at = search && token !== null ? search.indexOf(token) : null;
    const place = at === null ? "" : `${at + 1} of `;
    this.around.tools().showFound(search ? `${place}${search.matches.length}` : "");
  }

  private fill(): void {
    const rows = mostSurprising(this.store, this.threshold, LISTED).map((token) => {
      const row = button("", "", () => this.around.go(token));
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
