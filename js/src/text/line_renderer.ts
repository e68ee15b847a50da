// Renders the lines that are visible, and no others, as elements.

import type { Store } from "../data/store.ts";
import { element } from "../ui/dom.ts";
import { scrollBoxTo } from "../ui/shell.ts";
import type { Cell, Layout } from "./layout.ts";

/** Lines rendered above and below the visible ones, so that scrolling shows no gap. */
const OVERSCAN = 4;
/** Tokens to lay out at a time until there are enough lines to draw. The rest follows in idle time. */
const LAYOUT_STEP = 512;
/** Steps of heat, each with a class in the stylesheet (js/build.mjs): finer than the eye can see. */
const HEAT_STEPS = 64;

// Templates that are cloned for each token, because creating elements is most of the cost of scrolling.
const FIRST_CELL = element("span");
FIRST_CELL.setAttribute("role", "option");
FIRST_CELL.setAttribute("aria-selected", "false");
const FURTHER_CELL = element("span");
FURTHER_CELL.setAttribute("aria-hidden", "true");

export function heatClass(heat: number): string {
  return `deluge-h${Math.round(heat * HEAT_STEPS)}`;
}

/** How a token is drawn, apart from its text. */
export interface Appearance {
  /** From 0 to 1; NaN if unknown, null if it has not arrived. */
  heat: number | null;
  /** Class names, each with a space in front. */
  classes: string;
}

export class LineRenderer {
  private readonly rendered = new Map<number, HTMLElement>();
  /** The lines that were visible at the last rendering. Measuring again would force the browser to lay out the page. */
  private visibleLines: [number, number] = [0, 0];
  /** The token that was last scrolled to the top, and that scroll position: it stays the top until the user scrolls. */
  private topAnchor: { token: number; scrollTop: number } | null = null;

  constructor(
    private readonly box: HTMLElement,
    private readonly layer: HTMLElement,
    private readonly store: Store,
    private readonly layout: Layout,
    private readonly lineHeight: () => number,
    private readonly idOf: (token: number) => string,
    private readonly appearanceOf: (token: number) => Appearance,
  ) {}

  /** Remove all lines and render the visible ones: the layout has changed. */
  redraw(): void {
    this.layer.replaceChildren();
    this.rendered.clear();
    this.layout.extend(LAYOUT_STEP);
    this.updateHeight();
    this.renderVisible();
  }

  /** Render the lines from `first` on again, and keep those before. */
  redrawFrom(first: number): void {
    for (const [line, root] of this.rendered) {
      if (line >= first) {
        root.remove();
        this.rendered.delete(line);
      }
    }
    // Screen readers announce the number of tokens, which has changed.
    const count = String(this.store.count);
    for (const span of this.layer.querySelectorAll("[aria-setsize]"))
      span.setAttribute("aria-setsize", count);
    this.updateHeight();
    this.renderVisible();
  }

  updateHeight(): void {
    this.layer.style.height = `${this.layout.expectedLines * this.lineHeight()}px`;
  }

  /** Render lines that have become visible, and remove those that no longer are. */
  renderVisible(): void {
    const height = this.lineHeight();
    const { scrollTop, clientHeight } = this.box;
    const top = Math.floor(scrollTop / height);
    const bottom = Math.ceil((scrollTop + clientHeight) / height);
    this.visibleLines = [top, bottom];
    const first = Math.max(0, top - OVERSCAN);
    const end = bottom + OVERSCAN;
    this.layOutLine(end);
    // The last line may still grow until the layout is done.
    const complete = this.layout.done ? this.layout.lineCount : this.layout.lineCount - 1;
    this.renderLines(first, Math.min(end, complete), height);
  }

  /** Render the first lines, up to `limit` of them, for printing. */
  renderAll(limit: number): void {
    this.layOutLine(limit);
    this.renderLines(0, Math.min(limit, this.layout.lineCount), this.lineHeight());
  }

  private layOutLine(line: number): void {
    const { layout } = this;
    const before = layout.nextToken;
    while (!layout.done && layout.lineCount <= line) layout.extend(layout.nextToken + LAYOUT_STEP);
    if (layout.nextToken > before) this.updateHeight();
  }

  private renderLines(first: number, last: number, height: number): void {
    for (const [line, root] of this.rendered) {
      if (line < first || line >= last) {
        root.remove();
        this.rendered.delete(line);
      }
    }
    const added = document.createDocumentFragment();
    for (let line = first; line < last; line++) {
      if (!this.rendered.has(line)) {
        const root = this.renderLine(line);
        root.style.top = `${line * height}px`;
        this.rendered.set(line, root);
        added.append(root);
      }
    }
    this.layer.append(added);
  }

  /** Update the appearance of all rendered tokens; their text has not changed. */
  repaint(): void {
    for (const span of this.layer.querySelectorAll<HTMLElement>("[data-token]")) this.paint(span);
  }

  /** The element of a token's first cell, if it is rendered. */
  find(token: number): HTMLElement | null {
    return this.layer.querySelector(`[data-token="${token}"]`);
  }

  /** The visible tokens at the last rendering: the first one, and one past the last. */
  visibleTokens(): [number, number] {
    const [line, bottom] = this.visibleLines;
    const top = Math.min(this.layout.lineCount - 1, line);
    return [this.layout.firstToken(top), this.layout.firstToken(Math.max(top + 1, bottom))];
  }

  /** The first visible token; null at the very top, which stays the top. */
  topToken(): number | null {
    // Not the first token of its line: if the width changes step by step, the text would move up with each step.
    if (this.topAnchor?.scrollTop === this.box.scrollTop) return this.topAnchor.token;
    const line = Math.floor(this.box.scrollTop / this.lineHeight());
    return line > 0 ? this.layout.firstToken(Math.min(line, this.layout.lineCount - 1)) : null;
  }

  /** Scroll a token's line to the top. */
  scrollToTop(token: number): void {
    this.layOutToken(token);
    this.box.scrollTop = this.layout.lineOf(token) * this.lineHeight();
    this.topAnchor = { token, scrollTop: this.box.scrollTop };
    this.renderVisible();
  }

  /** Scroll the box, but not the page, until a token is visible. */
  reveal(token: number): void {
    this.layOutToken(token);
    const height = this.lineHeight();
    scrollBoxTo(this.box, this.layout.lineOf(token) * height, height);
    this.renderVisible();
  }

  private layOutToken(token: number): void {
    if (this.layout.nextToken > token + LAYOUT_STEP) return;
    this.layout.extend(token + LAYOUT_STEP);
    this.updateHeight();
  }

  private renderLine(line: number): HTMLElement {
    const root = element("div", "deluge-line");
    root.setAttribute("role", "none");
    for (const { token, index, cell } of this.layout.cellsOn(line))
      root.append(this.renderCell(token, index, cell));
    return root;
  }

  private renderCell(token: number, index: number, cell: Cell): HTMLElement {
    const span = (index ? FURTHER_CELL : FIRST_CELL).cloneNode() as HTMLElement;
    span.textContent = cell.shown;
    span.setAttribute("data-token", String(token));
    if (index) span.setAttribute("data-cell", String(index));
    if (cell.marked) span.setAttribute("data-marked", "");
    if (index === 0) {
      span.id = this.idOf(token);
      span.setAttribute("aria-posinset", String(token + 1));
      span.setAttribute("aria-setsize", String(this.store.count));
    }
    this.paint(span);
    return span;
  }

  private paint(span: HTMLElement): void {
    const { heat, classes } = this.appearanceOf(Number(span.dataset["token"]));
    let className = `deluge-token${classes}`;
    if (span.dataset["marked"] !== undefined) className += " deluge-marked";
    if (heat !== null) className += Number.isNaN(heat) ? " deluge-unknown" : ` ${heatClass(heat)}`;
    if (span.className === className) return;
    span.className = className;
    const isSelected = String(className.includes("deluge-selected"));
    if (span.getAttribute("aria-selected") !== isSelected && span.hasAttribute("role"))
      span.setAttribute("aria-selected", isSelected);
  }
}
