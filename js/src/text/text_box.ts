// The text in its box: how wide it is, which of it is laid out, and what stays in sight when either changes.

import type { Fragment, Store } from "../data/store.ts";
import { IdleTask } from "../ui/idle_tasks.ts";
import { lineLayer, listbox, MAX_PRINTED_LINES, sampleToken } from "../ui/shell.ts";
import { Layout } from "./layout.ts";
import { Lines, type Look } from "./line_renderer.ts";
import { Measure } from "./text_width.ts";

/** Text that comes is laid out at once, unless more than this waits already. */
const BEHIND = 65_536;

export interface Around {
  spell(stretch: Fragment): string;
  idOf(token: number): string;
  look(token: number): Look;
  scrolled(): void;
  resized(): void;
}

export class Paper {
  readonly box = listbox("Tokens of the completion", "/ n p g k c s ?");
  readonly ruler = sampleToken();
  readonly layout: Layout;
  readonly lines: Lines;
  private readonly sheet = lineLayer();
  private readonly measure = new Measure(this.ruler);
  private readonly laying: IdleTask;
  private width = -1;
  private height = 0;
  private hidden = true;

  constructor(
    private readonly store: Store,
    around: Around,
    signal: AbortSignal,
  ) {
    const { box, ruler } = this;
    this.layout = new Layout(store, this.measure.width, around.spell);
    const lineHeight = () => {
      if (!this.height) this.height = ruler.getBoundingClientRect().height;
      return this.height || 24;
    };
    this.lines = new Lines(box, this.sheet, store, this.layout, lineHeight, around.idOf, around.look);
    this.laying = new IdleTask(signal);
    box.append(this.sheet);
    const scrolled = () => {
      this.lines.show();
      around.scrolled();
    };
    box.addEventListener("scroll", scrolled, { signal, passive: true });
    window.addEventListener("beforeprint", () => this.lines.showAll(MAX_PRINTED_LINES), { signal });
    window.addEventListener("afterprint", () => this.lines.show(), { signal });
    const watching = new ResizeObserver(() => around.resized());
    watching.observe(this.sheet);
    signal.addEventListener("abort", () => watching.disconnect());
  }

  /** Whether there has been a width to lay the text out in. */
  get laid(): boolean {
    return this.width >= 0;
  }

  /** Lay the text out anew, where its width has changed or was not known; what has become of it. */
  arrange(): "first" | "again" | "back" | null {
    const wide = this.sheet.clientWidth;
    const hidden = this.hidden;
    this.hidden = wide === 0;
    if (wide === 0) return null;
    if (wide === this.width) {
      if (!hidden) return null;
      // Where nothing could be seen nothing could be brought into sight.
      this.lines.show();
      return "back";
    }
    const first = this.width < 0;
    // What was at the top stays there.
    const top = first ? null : this.lines.top();
    this.fill(wide, top);
    // The scrollbar that a long text brings takes its place from the lines.
    const left = this.sheet.clientWidth;
    if (left !== wide) this.fill(left, top);
    this.layRest();
    return first ? "first" : "again";
  }

  private fill(width: number, top: number | null): void {
    this.width = width;
    this.height = 0;
    this.layout.reset(width);
    this.lines.redraw();
    if (top !== null) this.lines.scrollTo(top);
  }

  /** The font has changed, or what is drawn: nothing that was measured holds. */
  renew(): void {
    this.measure.renew();
    if (this.width > 0) this.width = 0;
  }

  /** Rows from one on are new. */
  grow(first: number): void {
    const { box, layout, lines, store } = this;
    const atEnd = this.laid && this.atEnd;
    const line = layout.renew(first);
    if (this.width <= 0) return;
    if (layout.next > store.count - BEHIND) layout.extend(store.count);
    lines.renew(line);
    if (atEnd) {
      box.scrollTop = box.scrollHeight;
      lines.show();
    }
    this.layRest();
  }

  /** Bring a token into sight, where there is any. */
  reveal(token: number): void {
    if (this.width > 0) this.lines.reveal(token);
  }

  /** Whoever reads the end goes on reading it as more comes. */
  get atEnd(): boolean {
    const { scrollTop, clientHeight, scrollHeight } = this.box;
    return scrollTop > 0 && scrollTop + clientHeight >= scrollHeight - 2;
  }

  focus(): void {
    this.box.focus({ preventScroll: true });
  }

  /** Lay out what is not yet, while nobody waits for it. */
  private layRest(): void {
    const { layout, lines } = this;
    this.laying.stop();
    if (layout.done) return;
    const rest = function* () {
      while (!layout.done) {
        layout.extend(layout.next + 256);
        yield;
      }
    };
    this.laying.start(rest(), () => {
      lines.fitSheet();
      if (layout.done) lines.show();
    });
  }
}
