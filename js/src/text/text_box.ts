// The box with the text of one completion: layout and rendered lines, kept up to date as the text grows.

import type { Fragment, Store } from "../data/store.ts";
import { type Asides, Layout } from "./layout.ts";
import { type LineHost, LineRenderer } from "./line_renderer.ts";
import { ScrollBox, type ScrollHost } from "./scroll_box.ts";

/** Tokens that arrive are laid out at once, unless more than this number are waiting already. */
const MAX_BACKLOG = 65_536;
/** Tokens to lay out between two pauses. */
const IDLE_STEP = 256;

/** The view, as the box uses it. */
export interface TextBoxHost extends ScrollHost, LineHost {
  shownText(fragment: Fragment): string;
}

export class TextBox extends ScrollBox<number> {
  readonly layout: Layout;
  readonly lines: LineRenderer;

  constructor(
    private readonly store: Store,
    host: TextBoxHost,
    private readonly asides: Asides,
    signal: AbortSignal,
  ) {
    super("Tokens of the completion", "/ n p g k c s ?", host, signal);
    this.layout = new Layout(store, this.textWidth.of, (fragment) => host.shownText(fragment), asides);
    this.lines = new LineRenderer(this, store, this.layout, host, asides);
  }

  /** Tokens from `first` on are new or have changed. */
  update(first: number): void {
    const { box, layout, lines, store } = this;
    const wasAtEnd = this.hasLayout && this.isAtEnd;
    const line = layout.invalidate(first);
    if (!this.hasValidLayout) return;
    if (layout.nextToken > store.count - MAX_BACKLOG) layout.extend(store.count);
    lines.redrawFrom(line);
    if (wasAtEnd) {
      box.scrollTop = box.scrollHeight;
      lines.renderVisible();
    }
    this.layOutRest();
  }

  /** Scroll until a token is visible, if there is a layout. */
  reveal(token: number): void {
    if (this.hasValidLayout) this.lines.reveal(token);
  }

  /** True if the box is scrolled to the end; it then stays there as the text grows. */
  get isAtEnd(): boolean {
    const { scrollTop, clientHeight, scrollHeight } = this.box;
    return scrollTop > 0 && scrollTop + clientHeight >= scrollHeight - 2;
  }

  protected layOut(width: number): void {
    const before = this.asides.before();
    // Screen readers skip text among the tokens that is none.
    if (before) this.box.setAttribute("aria-description", `after: ${before}`);
    else this.box.removeAttribute("aria-description");
    this.layout.reset(width);
    this.lines.clear();
  }

  protected draw(top: number | null): void {
    if (top === null) this.lines.renderVisible(0);
    else this.lines.scrollToTop(top);
  }

  protected isLaidOut(): boolean {
    return this.layout.done && this.lines.hasOverscan;
  }

  protected layOutMore(): void {
    if (this.lines.hasOverscan) this.layout.extend(this.layout.nextToken + IDLE_STEP);
    else this.lines.renderVisible();
  }

  protected afterLayOut(): void {
    this.lines.updateHeight();
    if (this.layout.done) this.lines.renderVisible();
  }

  protected topToken(): number | null {
    return this.lines.topToken();
  }

  protected renderVisible(): void {
    this.lines.renderVisible();
  }

  protected renderAll(limit: number): void {
    this.lines.renderAll(limit);
  }
}
