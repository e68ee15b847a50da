// The lines that can be seen, and no others, as elements.

import { MARKED, type Tokens } from "./columns.ts";
import { element } from "./dom.ts";
import { fragmentOf, type Layout, lineOf } from "./layout.ts";

// Lines kept beyond either edge, so that scrolling shows no gap.
const MARGIN = 8;

export class TokenLines {
  private readonly drawn = new Map<number, HTMLElement>();
  private selected: number | null = null;
  /** What was last put at the top, and where that was: it stays the top until somebody scrolls. */
  private pinned: { fragment: number; at: number } | null = null;

  constructor(
    private readonly box: HTMLElement,
    private readonly sheet: HTMLElement,
    private readonly tokens: Tokens,
    private readonly layout: Layout,
    private readonly lineHeight: () => number,
    private readonly idOf: (token: number) => string,
  ) {}

  /** Throw all lines away and draw those that can be seen: the layout has changed. */
  redraw(): void {
    this.sheet.replaceChildren();
    this.drawn.clear();
    this.sheet.style.height = `${this.layout.lines * this.lineHeight()}px`;
    this.show();
  }

  /** Draw what has come into sight, drop what has left it. */
  show(): void {
    const height = this.lineHeight();
    const first = Math.max(0, Math.floor(this.box.scrollTop / height) - MARGIN);
    const last = Math.min(
      this.layout.lines,
      Math.ceil((this.box.scrollTop + this.box.clientHeight) / height) + MARGIN,
    );
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

  /** The element of a token's first fragment, if it is drawn. */
  find(token: number): HTMLElement | null {
    return this.sheet.querySelector(`[data-token="${token}"]`);
  }

  /** Mark a token as the selected one. */
  select(token: number | null): void {
    if (this.selected !== null) this.mark(this.selected, false);
    this.selected = token;
    if (token !== null) this.mark(token, true);
  }

  /** The first fragment in sight; null at the very top, which stays the top. */
  top(): number | null {
    // Not the line it came to stand on, or a width that changes step by step would move the text up each time.
    if (this.pinned?.at === this.box.scrollTop) return this.pinned.fragment;
    const line = Math.floor(this.box.scrollTop / this.lineHeight());
    return line > 0 ? (this.layout.starts[Math.min(line, this.layout.lines - 1)] ?? 0) : null;
  }

  /** Scroll a fragment's line to the top. */
  scrollTo(fragment: number): void {
    this.box.scrollTop = lineOf(this.layout.starts, fragment) * this.lineHeight();
    this.pinned = { fragment, at: this.box.scrollTop };
    this.show();
  }

  /** Scroll a token into sight, without moving the page. */
  reveal(token: number): void {
    const height = this.lineHeight();
    const top = lineOf(this.layout.starts, fragmentOf(this.tokens.owner, token)) * height;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + height > this.box.scrollTop + this.box.clientHeight) {
      this.box.scrollTop = top + height - this.box.clientHeight;
    }
    this.show();
  }

  private mark(token: number, on: boolean): void {
    for (const span of this.sheet.querySelectorAll(`[data-token="${token}"]`)) this.state(span, on);
  }

  private state(span: Element, on: boolean): void {
    span.classList.toggle("deluge-selected", on);
    if (span.hasAttribute("role")) span.setAttribute("aria-selected", String(on));
  }

  private line(line: number): HTMLElement {
    const drawn = element("div", "deluge-line");
    drawn.setAttribute("role", "none");
    for (let at = this.layout.starts[line] ?? 0; at < (this.layout.starts[line + 1] ?? 0); at++) {
      drawn.append(this.fragment(at));
    }
    return drawn;
  }

  private fragment(at: number): HTMLElement {
    const { owner, shown, shownAt, flags, logprob, entropy, count } = this.tokens;
    const token = owner[at] ?? 0;
    const span = element("span", "deluge-token", shown[shownAt[at] ?? 0]);
    span.dataset["token"] = String(token);
    span.dataset["at"] = String(at);
    const known = logprob[token] ?? Number.NaN;
    if (Number.isNaN(known)) span.classList.add("deluge-unknown");
    else {
      span.style.setProperty("--p", String(Math.exp(known)));
      span.style.setProperty("--s", String(Math.max(0, -known / Math.LN2)));
    }
    const uncertain = entropy[token] ?? Number.NaN;
    if (!Number.isNaN(uncertain)) span.style.setProperty("--h", String(uncertain));
    if ((flags[at] ?? 0) & MARKED) span.classList.add("deluge-marked");
    if (at === 0 || owner[at - 1] !== token) {
      span.id = this.idOf(token);
      span.setAttribute("role", "option");
      span.setAttribute("aria-posinset", String(token + 1));
      span.setAttribute("aria-setsize", String(count));
      span.setAttribute("aria-selected", "false");
    } else span.setAttribute("aria-hidden", "true");
    if (token === this.selected) this.state(span, true);
    return span;
  }
}
