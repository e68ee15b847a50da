// The box with the texts of all responses: layout and rendered rows, side by side or interleaved.

import type { Fragment } from "../data/store.ts";
import { Layout } from "../text/layout.ts";
import { ScrollBox, type ScrollHost } from "../text/scroll_box.ts";
import type { Alignment, TokenRef } from "./alignment.ts";
import { RowLayout } from "./row_layout.ts";
import { type RowHost, RowRenderer } from "./row_renderer.ts";

/** Narrower columns are too narrow to read: then the lines are interleaved. px. */
const MIN_COLUMN_WIDTH = 250;
/** The space within a column, and the width of the letters in front of interleaved lines: px. */
const COLUMN_PADDING = 12;
const LETTER_WIDTH = 26;

/** The view, as the box uses it. */
export interface ResponseBoxHost extends ScrollHost, RowHost {
  shownText(fragment: Fragment): string;
  /** True if the user has chosen interleaved lines. */
  prefersInterleaved(): boolean;
  /** Called before each layout. */
  setInterleaved(isInterleaved: boolean): void;
}

export class ResponseBox extends ScrollBox<TokenRef> {
  readonly layouts: Layout[];
  readonly rows: RowLayout;
  readonly renderer: RowRenderer;

  constructor(
    private readonly alignment: Alignment,
    private readonly host: ResponseBoxHost,
    signal: AbortSignal,
  ) {
    super("Tokens of the responses", "n p o ?", host, signal);
    const measure = this.textWidth.of;
    this.layouts = alignment.stores.map(
      (store) => new Layout(store, measure, (fragment) => host.shownText(fragment)),
    );
    this.rows = new RowLayout(alignment, this.layouts, measure);
    this.renderer = new RowRenderer(this, alignment, this.rows, host);
  }

  get isInterleaved(): boolean {
    return this.renderer.isInterleaved;
  }

  /** The width of the vertical scrollbar: px. */
  get scrollbarWidth(): number {
    const { clientLeft, clientWidth, offsetWidth } = this.box;
    return offsetWidth - clientWidth - 2 * clientLeft;
  }

  protected layOut(width: number): void {
    const { sides } = this.alignment;
    const isInterleaved = this.host.prefersInterleaved() || width / sides < MIN_COLUMN_WIDTH;
    this.host.setInterleaved(isInterleaved);
    this.layer.style.setProperty("--sides", String(sides));
    this.renderer.isInterleaved = isInterleaved;
    const lineWidth = isInterleaved ? width - LETTER_WIDTH : width / sides - COLUMN_PADDING;
    this.rows.reset(lineWidth, isInterleaved);
    this.renderer.clear();
  }

  protected draw(top: TokenRef | null): void {
    if (top) this.renderer.scrollToTop(top);
    else this.renderVisible();
  }

  protected isLaidOut(): boolean {
    return this.rows.done;
  }

  protected layOutMore(): void {
    this.rows.step();
  }

  protected afterLayOut(): void {
    this.renderer.updateHeight();
  }

  protected topToken(): TokenRef | null {
    return this.renderer.topToken();
  }

  protected renderVisible(): void {
    this.renderer.renderVisible();
  }

  protected renderAll(limit: number): void {
    this.renderer.renderAll(limit);
  }
}
