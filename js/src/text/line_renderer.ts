// Renders the visible lines of a completion, and scrolls to its tokens.

import type { Store } from "../data/store.ts";
import { element } from "../ui/dom.ts";
import { scrollBoxTo } from "../ui/shell.ts";
import { Directions } from "./direction.ts";
import type { Asides, Layout } from "./layout.ts";
import type { ScrollBox } from "./scroll_box.ts";
import { type Appearance, paintCell, renderCell } from "./token_span.ts";
import { VirtualLines } from "./virtual_lines.ts";

/** Lines rendered above and below the visible ones, so that scrolling shows no gap; in idle time after the first paint. */
const OVERSCAN = 4;
/** Tokens to lay out before the height of the text is estimated, and around a token that is scrolled to. */
const LAYOUT_STEP = 256;
/** Tokens to lay out at a time until there are enough lines to draw. The rest follows in idle time. */
const LINE_STEP = 64;

/** The view, as the lines use it. */
export interface LineHost {
  idOf(token: number): string;
  /** Returns a function from tokens to their appearance as long as nothing changes. */
  appearances(): (token: number) => Appearance;
}

export class LineRenderer {
  readonly #lines: VirtualLines;
  readonly #directions: Directions;
  /** The lines that were visible at the last rendering. Measuring again would force the browser to lay out the page. */
  #visibleLines: [number, number] = [0, 0];
  #overscan = 0;
  /** The token that was last scrolled to the top, and that scroll position: it stays the top until the user scrolls. */
  #topAnchor: { token: number; scrollTop: number } | null = null;

  constructor(
    private readonly scrollBox: ScrollBox<number>,
    private readonly store: Store,
    private readonly layout: Layout,
    private readonly host: LineHost,
    private readonly asides: Asides,
  ) {
    this.#directions = new Directions(layout);
    this.#lines = new VirtualLines(
      scrollBox.layer,
      (line) => this.#renderLine(line),
      (line) => line * scrollBox.lineHeight,
    );
  }

  /** Remove all lines, and lay out the first ones: the layout has changed. */
  clear(): void {
    this.#lines.removeFrom(0);
    this.layout.extend(LAYOUT_STEP);
    this.updateHeight();
  }

  /** Render the lines from `first` on again, and keep those before. */
  redrawFrom(first: number): void {
    this.#lines.removeFrom(first);
    // Screen readers announce the number of tokens, which has changed.
    const count = String(this.store.count);
    for (const span of this.scrollBox.layer.querySelectorAll("[aria-setsize]"))
      span.setAttribute("aria-setsize", count);
    this.updateHeight();
    this.renderVisible();
  }

  /** Give the layer the height that the whole text is expected to have. */
  updateHeight(): void {
    this.scrollBox.layer.style.height = `${this.layout.expectedLines * this.scrollBox.lineHeight}px`;
  }

  /** False after a rendering of the visible lines only. */
  get hasOverscan(): boolean {
    return this.#overscan > 0;
  }

  /** Render lines that have become visible, with `overscan` lines around them, and remove those that no longer are. */
  renderVisible(overscan = OVERSCAN): void {
    const { layout } = this;
    this.#overscan = overscan;
    const { box, lineHeight } = this.scrollBox;
    const top = Math.floor(box.scrollTop / lineHeight);
    const bottom = Math.ceil((box.scrollTop + box.clientHeight) / lineHeight);
    this.#visibleLines = [top, bottom];
    this.#layOutLine(bottom + overscan);
    // The last line may still grow until the layout is done.
    const complete = layout.done ? layout.lineCount : layout.lineCount - 1;
    this.#lines.show(Math.max(0, top - overscan), Math.min(bottom + overscan, complete));
  }

  /** Render the first lines, up to `limit` of them, for printing. */
  renderAll(limit: number): void {
    this.#layOutLine(limit);
    this.#lines.show(0, Math.min(limit, this.layout.lineCount));
  }

  /** Update the appearance of all rendered tokens; their text has not changed. */
  repaint(): void {
    const appearanceOf = this.host.appearances();
    for (const span of this.#lines.cells()) paintCell(span, appearanceOf(Number(span.dataset["token"])));
  }

  /** The element of a token's first cell, if it is rendered. */
  find(token: number): HTMLElement | null {
    return this.scrollBox.layer.querySelector(`[data-token="${token}"]`);
  }

  /** The visible tokens at the last rendering: the first one, and one past the last. */
  visibleTokens(): [number, number] {
    const [line, bottom] = this.#visibleLines;
    const top = Math.min(this.layout.lineCount - 1, line);
    return [this.layout.firstToken(top), this.layout.firstToken(Math.max(top + 1, bottom))];
  }

  /** The first visible token; null at the very top, which stays the top. */
  topToken(): number | null {
    const { box, lineHeight } = this.scrollBox;
    // Not the first token of its line: if the width changes step by step, the text would move up with each step.
    if (this.#topAnchor?.scrollTop === box.scrollTop) return this.#topAnchor.token;
    const line = Math.floor(box.scrollTop / lineHeight);
    return line > 0 ? this.layout.firstToken(Math.min(line, this.layout.lineCount - 1)) : null;
  }

  /** Scroll a token's line to the top. */
  scrollToTop(token: number): void {
    const { box, lineHeight } = this.scrollBox;
    this.#layOutToken(token);
    box.scrollTop = this.layout.lineOf(token) * lineHeight;
    this.#topAnchor = { token, scrollTop: box.scrollTop };
    this.renderVisible();
  }

  /** Scroll the box, but not the page, until a token is visible. */
  reveal(token: number): void {
    const { box, lineHeight } = this.scrollBox;
    this.#layOutToken(token);
    scrollBoxTo(box, this.layout.lineOf(token) * lineHeight, lineHeight);
    this.renderVisible();
  }

  #layOutLine(line: number): void {
    const { layout } = this;
    const before = layout.nextToken;
    while (!layout.done && layout.lineCount <= line) layout.extend(layout.nextToken + LINE_STEP);
    if (layout.nextToken > before) this.updateHeight();
  }

  #layOutToken(token: number): void {
    if (this.layout.nextToken > token + LAYOUT_STEP) return;
    this.layout.extend(token + LAYOUT_STEP);
    this.updateHeight();
  }

  #renderLine(line: number): HTMLElement {
    const root = element("div", "deluge-line");
    root.setAttribute("role", "none");
    const before = this.layout.beforeOn(line);
    if (before) root.append(element("span", "deluge-before", before));
    const cells = this.layout.cellsOn(line);
    // From right to left the white space ends the line.
    const hang = this.#directions.turn(root, line, cells) ? 0 : this.layout.hangOf(line, cells);
    root.style.marginLeft = `${-hang}px`;
    const appearanceOf = this.host.appearances();
    for (const { token, index, cell } of cells) {
      const span = renderCell(token, index, cell, this.host.idOf(token), this.store.count);
      paintCell(span, appearanceOf(token));
      root.append(span);
      const aside = this.asides.beside(token);
      if (aside && index === this.layout.cellsOf(token).length - 1) root.append(besideToken(aside));
    }
    return root;
  }
}

function besideToken(text: string): HTMLElement {
  const aside = element("span", "deluge-beside", text);
  // Screen readers say it with the token.
  aside.setAttribute("aria-hidden", "true");
  return aside;
}
