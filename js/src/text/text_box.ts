// The scrolling box with the text of a completion: follows its width, lays the text out in idle time, and keeps the same
// tokens visible when either changes.

import type { Fragment, Store } from "../data/store.ts";
import { IdleTask } from "../ui/idle_tasks.ts";
import { lineLayer, listbox, MAX_PRINTED_LINES, sampleToken } from "../ui/shell.ts";
import { Layout } from "./layout.ts";
import { type Appearance, LineRenderer } from "./line_renderer.ts";
import { TextWidth } from "./text_width.ts";

/** Tokens that arrive are laid out at once, unless more than this number are waiting already. */
const MAX_BACKLOG = 65_536;

/** What the box needs of its view. */
export interface TextBoxHost {
  shownText(fragment: Fragment): string;
  idOf(token: number): string;
  appearanceOf(token: number): Appearance;
  scrolled(): void;
  resized(): void;
}

export class TextBox {
  readonly box = listbox("Tokens of the completion", "/ n p g k c s ?");
  readonly sample = sampleToken();
  readonly layout: Layout;
  readonly lines: LineRenderer;
  private readonly layer = lineLayer();
  private readonly textWidth = new TextWidth(this.sample);
  private readonly layoutTask: IdleTask;
  /** The width of the layout: -1 before there is one, 0 after the font has changed. */
  private width = -1;
  private height = 0;
  private isHidden = true;

  constructor(
    private readonly store: Store,
    host: TextBoxHost,
    signal: AbortSignal,
  ) {
    const { box, sample } = this;
    this.layout = new Layout(store, this.textWidth.of, host.shownText);
    const lineHeight = () => {
      if (!this.height) this.height = sample.getBoundingClientRect().height;
      return this.height || 24;
    };
    this.lines = new LineRenderer(
      box,
      this.layer,
      store,
      this.layout,
      lineHeight,
      host.idOf,
      host.appearanceOf,
    );
    this.layoutTask = new IdleTask(signal);
    box.append(this.layer);
    const scrolled = () => {
      this.lines.renderVisible();
      host.scrolled();
    };
    box.addEventListener("scroll", scrolled, { signal, passive: true });
    window.addEventListener("beforeprint", () => this.lines.renderAll(MAX_PRINTED_LINES), { signal });
    window.addEventListener("afterprint", () => this.lines.renderVisible(), { signal });
    const observer = new ResizeObserver(() => host.resized());
    observer.observe(this.layer);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  /** Whether the text has been laid out. */
  get hasLayout(): boolean {
    return this.width >= 0;
  }

  /** Lay the text out again if its width has changed. Returns what happened; null if nothing did. */
  arrange(): "first" | "again" | "shown" | null {
    const width = this.layer.clientWidth;
    const wasHidden = this.isHidden;
    this.isHidden = width === 0;
    if (width === 0) return null;
    if (width === this.width) {
      if (!wasHidden) return null;
      // Nothing could be scrolled to while the box was hidden.
      this.lines.renderVisible();
      return "shown";
    }
    const isFirst = this.width < 0;
    // Keep the same token at the top.
    const top = isFirst ? null : this.lines.topToken();
    this.layOut(width, top);
    // A scrollbar that appears makes the lines narrower.
    const narrowed = this.layer.clientWidth;
    if (narrowed !== width) this.layOut(narrowed, top);
    this.layOutRest();
    return isFirst ? "first" : "again";
  }

  private layOut(width: number, top: number | null): void {
    this.width = width;
    this.height = 0;
    this.layout.reset(width);
    this.lines.redraw();
    if (top !== null) this.lines.scrollToTop(top);
  }

  /** The font has changed, or what is drawn: measure everything again. */
  resetWidths(): void {
    this.textWidth.reset();
    if (this.width > 0) this.width = 0;
  }

  /** Tokens from `first` on are new or have changed. */
  update(first: number): void {
    const { box, layout, lines, store } = this;
    const wasAtEnd = this.hasLayout && this.isAtEnd;
    const line = layout.invalidate(first);
    if (this.width <= 0) return;
    if (layout.nextToken > store.count - MAX_BACKLOG) layout.extend(store.count);
    lines.redrawFrom(line);
    if (wasAtEnd) {
      box.scrollTop = box.scrollHeight;
      lines.renderVisible();
    }
    this.layOutRest();
  }

  /** Scroll until a token is visible, once there is a layout. */
  reveal(token: number): void {
    if (this.width > 0) this.lines.reveal(token);
  }

  /** Whether the box is scrolled to the end; it then stays there as the text grows. */
  get isAtEnd(): boolean {
    const { scrollTop, clientHeight, scrollHeight } = this.box;
    return scrollTop > 0 && scrollTop + clientHeight >= scrollHeight - 2;
  }

  focus(): void {
    this.box.focus({ preventScroll: true });
  }

  /** Lay out the rest of the text in idle time. */
  private layOutRest(): void {
    const { layout, lines } = this;
    this.layoutTask.stop();
    if (layout.done) return;
    const rest = function* () {
      while (!layout.done) {
        layout.extend(layout.nextToken + 256);
        yield;
      }
    };
    this.layoutTask.start(rest(), () => {
      lines.updateHeight();
      if (layout.done) lines.renderVisible();
    });
  }
}
