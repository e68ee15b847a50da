// The scrolling box around a text: measures its width and the height of its lines, asks for a new layout when the width
// changes, and has the rest of a long text laid out in idle time. What the text is, is left to subclasses.

import { IdleTask } from "../ui/idle_tasks.ts";
import { lineLayer, listbox, MAX_PRINTED_LINES, sampleToken } from "../ui/shell.ts";
import { TextWidth } from "./text_width.ts";

/** The view, as a box uses it. */
export interface ScrollHost {
  /** Called when other tokens may have become visible. */
  scrolled(): void;
  /** Called when `arrange` may have something to do. */
  resized(): void;
}

/** The result of `arrange`: the first layout, another one, or none because a box of the same width was hidden. */
export type Change = "first" | "again" | "shown" | null;

/** `Top` identifies the token at the top of the box. */
export abstract class ScrollBox<Top> {
  readonly box: HTMLElement;
  readonly layer = lineLayer();
  /** A hidden token that must be in the view, because its font is measured. */
  readonly sample = sampleToken();
  protected readonly textWidth = new TextWidth(this.sample);
  readonly #layoutTask: IdleTask;
  /** The width of the layout in pixels; -1 before the first one, 0 once it is invalid. */
  #width = -1;
  #height = 0;
  #isHidden = true;

  constructor(label: string, keys: string, host: ScrollHost, signal: AbortSignal) {
    this.box = listbox(label, keys);
    this.box.append(this.layer);
    this.#layoutTask = new IdleTask(signal);
    const scrolled = () => {
      this.renderVisible();
      host.scrolled();
    };
    this.box.addEventListener("scroll", scrolled, { signal, passive: true });
    const beforePrint = () => {
      // Idle work renders the visible lines only.
      this.#layoutTask.stop();
      this.renderAll(MAX_PRINTED_LINES);
    };
    const afterPrint = () => {
      this.renderVisible();
      this.layOutRest();
    };
    window.addEventListener("beforeprint", beforePrint, { signal });
    window.addEventListener("afterprint", afterPrint, { signal });
    const observer = new ResizeObserver(() => host.resized());
    observer.observe(this.layer);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  /** Lay out the first lines for a width in pixels, and give the layer its height. */
  protected abstract layOut(width: number): void;
  /** Render the first layout's visible lines, and scroll a token to the top. */
  protected abstract draw(top: Top | null): void;
  protected abstract isLaidOut(): boolean;
  protected abstract layOutMore(): void;
  /** Called now and then while more is laid out. */
  protected abstract afterLayOut(): void;
  /** The first visible token; null at the very top, which stays the top. */
  protected abstract topToken(): Top | null;
  protected abstract renderVisible(): void;
  /** Render the first lines, up to `limit` of them, for printing. */
  protected abstract renderAll(limit: number): void;

  /** The height of a line, as its style has it: px. */
  get lineHeight(): number {
    const { sample } = this;
    if (!this.#height) this.#height = sample.getBoundingClientRect().height / (sample.currentCSSZoom ?? 1);
    return this.#height || 24;
  }

  /** True if the text has been laid out, even if the layout is invalid now. */
  get hasLayout(): boolean {
    return this.#width >= 0;
  }

  protected get hasValidLayout(): boolean {
    return this.#width > 0;
  }

  /** The font has changed, or what is drawn: measure and lay out everything again at the next `arrange`. */
  invalidate(): void {
    this.textWidth.reset();
    if (this.#width > 0) this.#width = 0;
  }

  /** Lay the text out again if the width of the box has changed. */
  arrange(): Change {
    const width = this.layer.clientWidth;
    const wasHidden = this.#isHidden;
    this.#isHidden = width === 0;
    if (width === 0) return null;
    if (width === this.#width) {
      if (!wasHidden) return null;
      // Nothing could be scrolled to while the box was hidden.
      this.renderVisible();
      return "shown";
    }
    const isFirst = this.#width < 0;
    // Keep the same token at the top.
    const top = isFirst ? null : this.topToken();
    this.#layOutFor(width);
    // A scrollbar that appears makes the lines narrower. Know it before there are lines: they cost most.
    const narrowed = this.layer.clientWidth;
    if (narrowed !== width) this.#layOutFor(narrowed);
    this.draw(top);
    this.layOutRest();
    return isFirst ? "first" : "again";
  }

  #layOutFor(width: number): void {
    this.#width = width;
    this.#height = 0;
    this.layOut(width);
  }

  /** Lay out the rest of the text in idle time. */
  protected layOutRest(): void {
    this.#layoutTask.stop();
    if (!this.isLaidOut()) this.#layoutTask.start(this.#layOutSteps(), () => this.afterLayOut());
  }

  *#layOutSteps(): Generator<void> {
    while (!this.isLaidOut()) {
      this.layOutMore();
      yield;
    }
  }

  focus(): void {
    this.box.focus({ preventScroll: true });
  }
}
