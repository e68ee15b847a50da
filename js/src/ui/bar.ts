// The line with the title and the summary of a widget, and below it the bar of controls, all on one grid. Where the widget
// is narrow, colours and arrangement fold into the menu, so that the text begins near the top.

import { element } from "./dom.ts";
import type { Menu } from "./menu.ts";
import { showTitle } from "./shell.ts";

/** Controls that belong together. */
export function group(...controls: HTMLElement[]): HTMLElement {
  const root = element("span", "deluge-steps");
  root.append(...controls);
  return root;
}

/** Controls that are in the menu of a widget narrower than `wide`: px. */
export interface Foldable {
  controls: HTMLElement;
  wide: number;
}

export class Bar {
  readonly head = element("div", "deluge-top");
  readonly root = element("div", "deluge-bar");
  readonly #title = element("div", "deluge-title");
  readonly #summary = element("span", "deluge-summary");
  #width = Number.POSITIVE_INFINITY;
  #foldable: Foldable[] = [];
  #foldedCount = 0;
  #panel: HTMLElement = this.root;

  /** The bar of a widget that is at least `roomy` has room for the summary: px. */
  constructor(private readonly roomy: number) {}

  protected fill(foldable: Foldable[], controls: HTMLElement[], menu: Menu): void {
    this.#foldable = foldable;
    this.#panel = menu.panel;
    this.head.append(this.#title);
    this.root.append(...foldable.map((item) => item.controls), ...controls, menu.root);
    this.#placeSummary();
  }

  /** Show the title, which also names the widget; without one, `name` does. */
  showTitle(widget: HTMLElement, text: string, name: string): void {
    showTitle(widget, this.#title, text, name);
    this.#placeSummary();
  }

  showSummary(text: string): void {
    this.#summary.textContent = this.#summary.title = text;
  }

  /** Let the controls fit into a widget of another width: px. */
  fold(width: number): void {
    // The host has hidden the widget.
    if (!width) return;
    this.#width = width;
    const folded = this.#foldable.filter(({ wide }) => width < wide);
    if (folded.length !== this.#foldedCount) {
      this.#foldedCount = folded.length;
      const controlsOf = (items: Foldable[]) => items.map((item) => item.controls);
      this.#panel.prepend(...controlsOf(folded));
      this.root.prepend(...controlsOf(this.#foldable.filter((item) => !folded.includes(item))));
    }
    this.#placeSummary();
  }

  /** The summary stands beside the title; without a title, at the end of a bar that has room for it. */
  #placeSummary(): void {
    const isInBar = this.#title.hidden && this.#width >= this.roomy;
    const parent = isInBar ? this.root : this.head;
    this.head.hidden = isInBar;
    if (this.#summary.parentElement !== parent) parent.append(this.#summary);
  }
}
