// The lines that can be seen, and no others, as elements.

import type { Store } from "../data/store.ts";
import { element } from "../ui/dom.ts";
import { scrollBoxTo } from "../ui/shell.ts";
import type { Cell, Layout } from "./layout.ts";

// Lines kept beyond either edge, so that scrolling shows no gap.
const MARGIN = 4;
// So many tokens are laid out at a time, until there is enough to draw; the rest follows while nobody waits.
const FIRST = 512;
// Steps of heat, for each of which the stylesheet has a class (js/build.mjs): finer than an eye can tell.
const STEPS = 64;

// Copied for each token: most of what scrolling costs is making them.
const OPTION = element("span");
OPTION.setAttribute("role", "option");
OPTION.setAttribute("aria-selected", "false");
const FURTHER = element("span");
FURTHER.setAttribute("aria-hidden", "true");

export function heatClass(heat: number): string {
  return `deluge-h${Math.round(heat * STEPS)}`;
}

/** What is painted of a token besides its text. */
export interface Look {
  /** From 0 to 1; NaN where it is unknown, null where it has not come yet. */
  heat: number | null;
  classes: string;
}

export class Lines {
  private readonly drawn = new Map<number, HTMLElement>();
  /** The lines in sight when they were last drawn: to ask the page again would make it lay out what was just put there. */
  private sight: [number, number] = [0, 0];
  /** What was last put at the top, and where that was: it stays the top until somebody scrolls. */
  private pinned: { token: number; at: number } | null = null;

  constructor(
    private readonly box: HTMLElement,
    private readonly sheet: HTMLElement,
    private readonly store: Store,
    private readonly layout: Layout,
    private readonly lineHeight: () => number,
    private readonly idOf: (token: number) => string,
    private readonly look: (token: number) => Look,
  ) {}

  /** Throw all lines away and draw those that can be seen: the layout has changed. */
  redraw(): void {
    this.sheet.replaceChildren();
    this.drawn.clear();
    this.layout.extend(FIRST);
    this.fitSheet();
    this.show();
  }

  /** Draw the lines from one on again; those before it stand. */
  renew(from: number): void {
    for (const [line, drawn] of this.drawn) {
      if (line >= from) {
        drawn.remove();
        this.drawn.delete(line);
      }
    }
    // Those that stand are of more tokens now, which a screen reader tells.
    const count = String(this.store.count);
    for (const span of this.sheet.querySelectorAll("[aria-setsize]"))
      span.setAttribute("aria-setsize", count);
    this.fitSheet();
    this.show();
  }

  fitSheet(): void {
    this.sheet.style.height = `${this.layout.expected * this.lineHeight()}px`;
  }

  /** Draw what has come into sight, drop what has left it. */
  show(): void {
    const height = this.lineHeight();
    const { scrollTop, clientHeight } = this.box;
    const top = Math.floor(scrollTop / height);
    const bottom = Math.ceil((scrollTop + clientHeight) / height);
    this.sight = [top, bottom];
    const first = Math.max(0, top - MARGIN);
    const end = bottom + MARGIN;
    this.reachLine(end);
    // The last line is not whole while there is more to lay out.
    this.showSpan(first, Math.min(end, this.layout.done ? this.layout.lines : this.layout.lines - 1), height);
  }

  /** Draw all lines up to a number of them, as for printing. */
  showAll(most: number): void {
    this.reachLine(most);
    this.showSpan(0, Math.min(most, this.layout.lines), this.lineHeight());
  }

  private reachLine(line: number): void {
    const { layout } = this;
    const before = layout.next;
    while (!layout.done && layout.lines <= line) layout.extend(layout.next + FIRST);
    if (layout.next > before) this.fitSheet();
  }

  private showSpan(first: number, last: number, height: number): void {
    for (const [line, drawn] of this.drawn) {
      if (line < first || line >= last) {
        drawn.remove();
        this.drawn.delete(line);
      }
    }
    const fresh = document.createDocumentFragment();
    for (let line = first; line < last; line++) {
      if (!this.drawn.has(line)) {
        const drawn = this.line(line);
        drawn.style.top = `${line * height}px`;
        this.drawn.set(line, drawn);
        fresh.append(drawn);
      }
    }
    this.sheet.append(fresh);
  }

  /** Paint what is drawn again: the text is the same, what is said of it is not. */
  repaint(): void {
    for (const span of this.sheet.querySelectorAll<HTMLElement>("[data-token]")) this.paint(span);
  }

  /** The element of a token's first cell, if it is drawn. */
  find(token: number): HTMLElement | null {
    return this.sheet.querySelector(`[data-token="${token}"]`);
  }

  /** The tokens that the last drawing had in sight: the first of the top line, and one past the last of the bottom one. */
  inSight(): [number, number] {
    const [line, bottom] = this.sight;
    const top = Math.min(this.layout.lines - 1, line);
    return [this.layout.token(top), this.layout.token(Math.max(top + 1, bottom))];
  }

  /** The first token in sight; null at the very top, which stays the top. */
  top(): number | null {
    // Not the line it came to stand on, or a width that changes step by step would move the text up each time.
    if (this.pinned?.at === this.box.scrollTop) return this.pinned.token;
    const line = Math.floor(this.box.scrollTop / this.lineHeight());
    return line > 0 ? this.layout.token(Math.min(line, this.layout.lines - 1)) : null;
  }

  /** Scroll a token's line to the top. */
  scrollTo(token: number): void {
    this.reach(token);
    this.box.scrollTop = this.layout.lineOf(token) * this.lineHeight();
    this.pinned = { token, at: this.box.scrollTop };
    this.show();
  }

  /** Scroll a token into sight, without moving the page. */
  reveal(token: number): void {
    this.reach(token);
    const height = this.lineHeight();
    scrollBoxTo(this.box, this.layout.lineOf(token) * height, height);
    this.show();
  }

  private reach(token: number): void {
    if (this.layout.next > token + FIRST) return;
    this.layout.extend(token + FIRST);
    this.fitSheet();
  }

  private line(line: number): HTMLElement {
    const drawn = element("div", "deluge-line");
    drawn.setAttribute("role", "none");
    for (const { token, at, cell } of this.layout.on(line)) drawn.append(this.span(token, at, cell));
    return drawn;
  }

  private span(token: number, at: number, cell: Cell): HTMLElement {
    const span = (at ? FURTHER : OPTION).cloneNode() as HTMLElement;
    span.textContent = cell.shown;
    span.setAttribute("data-token", String(token));
    if (at) span.setAttribute("data-cell", String(at));
    if (cell.marked) span.setAttribute("data-marked", "");
    if (at === 0) {
      span.id = this.idOf(token);
      span.setAttribute("aria-posinset", String(token + 1));
      span.setAttribute("aria-setsize", String(this.store.count));
    }
    this.paint(span);
    return span;
  }

  private paint(span: HTMLElement): void {
    const { heat, classes } = this.look(Number(span.dataset["token"]));
    let names = `deluge-token${classes}`;
    if (span.dataset["marked"] !== undefined) names += " deluge-marked";
    if (heat !== null) names += Number.isNaN(heat) ? " deluge-unknown" : ` ${heatClass(heat)}`;
    if (span.className === names) return;
    span.className = names;
    const selected = String(names.includes("deluge-selected"));
    if (span.getAttribute("aria-selected") !== selected && span.hasAttribute("role"))
      span.setAttribute("aria-selected", selected);
  }
}
