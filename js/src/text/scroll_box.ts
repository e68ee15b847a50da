// The scrolling box around the text: measures its width and the height of its lines, asks for a new layout when the width
// changes, and has the rest of a long text laid out in idle time. Knows nothing of the text.

import { IdleTask } from "../ui/idle_tasks.ts";
import { lineLayer, listbox, MAX_PRINTED_LINES, sampleToken } from "../ui/shell.ts";
import { TextWidth } from "./text_width.ts";

/** What a box needs of the text in it. `Top` identifies the first visible token. */
export interface ScrollBoxContent<Top> {
  /** The first visible token; null at the very top, which stays the top. */
  topToken(): Top | null;
  /** Lay out for a width in pixels, render, and scroll a token to the top. */
  layOut(width: number, top: Top | null): void;
  renderVisible(): void;
  renderAll(limit: number): void;
  isLaidOut(): boolean;
  layOutMore(): void;
  /** Called now and then while more is laid out. */
  afterLayOut(): void;
  scrolled(): void;
  resized(): void;
}

/** What `arrange` did: the first layout, another one, or none because a box of the same width was hidden. */
export type Change = "first" | "again" | "shown" | null;

export class ScrollBox<Top> {
  readonly box: HTMLElement;
  readonly layer = lineLayer();
  readonly sample = sampleToken();
  readonly textWidth = new TextWidth(this.sample);
  readonly #layoutTask: IdleTask;
  /** The width of the layout in pixels; -1 before the first one, 0 once it is invalid. */
  #width = -1;
  #height = 0;
  #isHidden = true;

  constructor(
    label: string,
    keys: string,
    private readonly content: ScrollBoxContent<Top>,
    signal: AbortSignal,
  ) {
    this.box = listbox(label, keys);
    this.box.append(this.layer);
    this.#layoutTask = new IdleTask(signal);
    const scrolled = () => {
      content.renderVisible();
      content.scrolled();
    };
    this.box.addEventListener("scroll", scrolled, { signal, passive: true });
    window.addEventListener("beforeprint", () => content.renderAll(MAX_PRINTED_LINES), { signal });
    window.addEventListener("afterprint", () => content.renderVisible(), { signal });
    const observer = new ResizeObserver(() => content.resized());
    observer.observe(this.layer);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  /** The height of a line: px. */
  get lineHeight(): number {
    if (!this.#height) this.#height = this.sample.getBoundingClientRect().height;
    return this.#height || 24;
  }

  /** Whether the text has been laid out, even if the layout is invalid now. */
  get hasLayout(): boolean {
    return this.#width >= 0;
  }

  get hasValidLayout(): boolean {
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
      this.content.renderVisible();
      return "shown";
    }
    const isFirst = this.#width < 0;
    // Keep the same token at the top.
    const top = isFirst ? null : this.content.topToken();
    this.#layOut(width, top);
    // A scrollbar that appears makes the lines narrower.
    const narrowed = this.layer.clientWidth;
    if (narrowed !== width) this.#layOut(narrowed, top);
    this.layOutRest();
    return isFirst ? "first" : "again";
  }

  #layOut(width: number, top: Top | null): void {
    this.#width = width;
    this.#height = 0;
    this.content.layOut(width, top);
  }

  /** Lay out the rest of the text in idle time. */
  layOutRest(): void {
    const { content } = this;
    this.#layoutTask.stop();
    if (content.isLaidOut()) return;
    const rest = function* () {
      while (!content.isLaidOut()) {
        content.layOutMore();
        yield;
      }
    };
    this.#layoutTask.start(rest(), () => content.afterLayOut());
  }

  focus(): void {
    this.box.focus({ preventScroll: true });
  }
}
