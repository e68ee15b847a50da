// The box with the text of one completion: layout and rendered lines, kept up to date as the text grows or its box changes.

import type { Fragment, Store } from "../data/store.ts";
import { Layout } from "./layout.ts";
import { type LineHost, LineRenderer } from "./line_renderer.ts";
import { type Change, ScrollBox, type ScrollBoxContent } from "./scroll_box.ts";

/** Tokens that arrive are laid out at once, unless more than this number are waiting already. */
const MAX_BACKLOG = 65_536;
/** Tokens to lay out between two pauses. */
const IDLE_STEP = 256;

/** What the box needs of its view. */
export interface TextBoxHost extends LineHost {
  shownText(fragment: Fragment): string;
  scrolled(): void;
  resized(): void;
}

export class TextBox implements ScrollBoxContent<number> {
  readonly layout: Layout;
  readonly lines: LineRenderer;
  readonly #scrollBox: ScrollBox<number>;

  constructor(
    private readonly store: Store,
    private readonly host: TextBoxHost,
    signal: AbortSignal,
  ) {
    this.#scrollBox = new ScrollBox("Tokens of the completion", "/ n p g k c s ?", this, signal);
    this.layout = new Layout(store, this.#scrollBox.textWidth.of, (fragment) => host.shownText(fragment));
    this.lines = new LineRenderer(this.#scrollBox, store, this.layout, host);
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

  /** See `ScrollBox.arrange`. */
  arrange(): Change {
    return this.#scrollBox.arrange();
  }

  /** See `ScrollBox.invalidate`. */
  invalidate(): void {
    this.#scrollBox.invalidate();
  }

  /** Tokens from `first` on are new or have changed. */
  update(first: number): void {
    const { box, layout, lines, store } = this;
    const wasAtEnd = this.hasLayout && this.isAtEnd;
    const line = layout.invalidate(first);
    if (!this.#scrollBox.hasValidLayout) return;
    if (layout.nextToken > store.count - MAX_BACKLOG) layout.extend(store.count);
    lines.redrawFrom(line);
    if (wasAtEnd) {
      box.scrollTop = box.scrollHeight;
      lines.renderVisible();
    }
    this.#scrollBox.layOutRest();
  }

  /** Scroll until a token is visible, if there is a layout. */
  reveal(token: number): void {
    if (this.#scrollBox.hasValidLayout) this.lines.reveal(token);
  }

  /** Whether the box is scrolled to the end; it then stays there as the text grows. */
  get isAtEnd(): boolean {
    const { scrollTop, clientHeight, scrollHeight } = this.box;
    return scrollTop > 0 && scrollTop + clientHeight >= scrollHeight - 2;
  }

  focus(): void {
    this.#scrollBox.focus();
  }

  // For the scroll box -------------------------------------------------------------------------------------------

  topToken(): number | null {
    return this.lines.topToken();
  }

  layOut(width: number, top: number | null): void {
    this.layout.reset(width);
    this.lines.redraw();
    if (top !== null) this.lines.scrollToTop(top);
  }

  renderVisible(): void {
    this.lines.renderVisible();
  }

  renderAll(limit: number): void {
    this.lines.renderAll(limit);
  }

  isLaidOut(): boolean {
    return this.layout.done;
  }

  layOutMore(): void {
    this.layout.extend(this.layout.nextToken + IDLE_STEP);
  }

  afterLayOut(): void {
    this.lines.updateHeight();
    if (this.layout.done) this.lines.renderVisible();
  }

  scrolled(): void {
    this.host.scrolled();
  }

  resized(): void {
    this.host.resized();
  }
}
