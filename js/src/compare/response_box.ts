// The box with the texts of all responses: layout and rendered rows, side by side or interleaved.

import { Layout } from "../text/layout.ts";
import { type Change, ScrollBox, type ScrollBoxContent } from "../text/scroll_box.ts";
import type { Alignment, TokenRef } from "./alignment.ts";
import { RowLayout } from "./row_layout.ts";
import { type RowHost, RowRenderer } from "./row_renderer.ts";

/** Narrower columns are too narrow to read: then the lines are interleaved. px. */
const MIN_COLUMN_WIDTH = 250;
/** The space within a column, and the width of the letters in front of interleaved lines: px. */
const COLUMN_PADDING = 12;
const LETTER_WIDTH = 26;

/** What the box needs of its view. */
export interface ResponseBoxHost extends RowHost {
  /** Whether the user has chosen interleaved lines. */
  prefersInterleaved(): boolean;
  /** Called before each layout. */
  setInterleaved(isInterleaved: boolean): void;
  scrolled(): void;
  resized(): void;
}

export class ResponseBox implements ScrollBoxContent<TokenRef> {
  readonly layouts: Layout[];
  readonly rows: RowLayout;
  readonly renderer: RowRenderer;
  readonly #scrollBox: ScrollBox<TokenRef>;

  constructor(
    private readonly alignment: Alignment,
    private readonly host: ResponseBoxHost,
    signal: AbortSignal,
  ) {
    this.#scrollBox = new ScrollBox("Tokens of the responses", "n p o ?", this, signal);
    const measure = this.#scrollBox.textWidth.of;
    this.layouts = alignment.stores.map((store) => new Layout(store, measure, (fragment) => fragment.shown));
    this.rows = new RowLayout(alignment, this.layouts);
    this.renderer = new RowRenderer(this.#scrollBox, alignment, this.rows, host);
  }

  get box(): HTMLElement {
    return this.#scrollBox.box;
  }

  /** A hidden token that must be in the view, because its font is measured. */
  get sample(): HTMLElement {
    return this.#scrollBox.sample;
  }

  get hasLayout(): boolean {
    return this.#scrollBox.hasLayout;
  }

  get isInterleaved(): boolean {
    return this.renderer.isInterleaved;
  }

  /** The width of the vertical scrollbar: px. */
  get scrollbarWidth(): number {
    const { clientLeft, clientWidth, offsetWidth } = this.box;
    return offsetWidth - clientWidth - 2 * clientLeft;
  }

  /** See `ScrollBox.arrange`. */
  arrange(): Change {
    return this.#scrollBox.arrange();
  }

  /** See `ScrollBox.invalidate`. */
  invalidate(): void {
    this.#scrollBox.invalidate();
  }

  // For the scroll box -------------------------------------------------------------------------------------------

  topToken(): TokenRef | null {
    return this.renderer.topToken();
  }

  layOut(width: number, top: TokenRef | null): void {
    const { sides } = this.alignment;
    const isInterleaved = this.host.prefersInterleaved() || width / sides < MIN_COLUMN_WIDTH;
    this.host.setInterleaved(isInterleaved);
    this.#scrollBox.layer.style.setProperty("--sides", String(sides));
    this.renderer.isInterleaved = isInterleaved;
    const lineWidth = isInterleaved ? width - LETTER_WIDTH : width / sides - COLUMN_PADDING;
    this.rows.reset(lineWidth, isInterleaved);
    this.renderer.redraw();
    if (top) this.renderer.scrollToTop(top);
  }

  renderVisible(): void {
    this.renderer.renderVisible();
  }

  renderAll(limit: number): void {
    this.renderer.renderAll(limit);
  }

  isLaidOut(): boolean {
    return this.rows.done;
  }

  layOutMore(): void {
    this.rows.step();
  }

  afterLayOut(): void {
    this.renderer.updateHeight();
  }

  scrolled(): void {
    this.host.scrolled();
  }

  resized(): void {
    this.host.resized();
  }
}
