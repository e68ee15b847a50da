// The rows that can be seen, and no others, as elements.

import type { Cell } from "../text/layout.ts";
import { type Appearance, heatClass } from "../text/line_renderer.ts";
import { element } from "../ui/dom.ts";
import { scrollBoxTo } from "../ui/shell.ts";
import { type Comparison, LETTERS, type Place } from "./alignment.ts";
import type { Rows } from "./row_layout.ts";

// Rows kept beyond either edge, so that scrolling shows no gap.
const MARGIN = 6;
/** Between the lines of one row and those of the next, where they are interleaved: px. */
const GAP = 8;

export class Sheet {
  private readonly drawn = new Map<number, HTMLElement>();
  interleaved = false;

  constructor(
    private readonly box: HTMLElement,
    private readonly sheet: HTMLElement,
    private readonly comparison: Comparison,
    private readonly rows: Rows,
    private readonly lineHeight: () => number,
    private readonly idOf: (place: Place) => string,
    private readonly appearanceOf: (place: Place) => Appearance,
  ) {}

  /** Throw all rows away and draw those that can be seen: the layout has changed. */
  redraw(): void {
    this.sheet.replaceChildren();
    this.drawn.clear();
    this.rows.extend(64);
    this.fit();
    this.show();
  }

  fit(): void {
    const { rows, lines } = this.rows.expected;
    this.sheet.style.height = `${lines * this.lineHeight() + (this.interleaved ? rows * GAP : 0)}px`;
  }

  /** Draw what has come into sight, drop what has left it. */
  show(): void {
    const bottom = this.box.scrollTop + this.box.clientHeight;
    const { rows } = this;
    const before = rows.length;
    while (!rows.done && this.top(rows.length) <= bottom + MARGIN * this.lineHeight()) rows.step();
    if (rows.length > before) this.fit();
    this.draw(Math.max(0, this.rowAt(this.box.scrollTop) - MARGIN), this.rowAt(bottom) + 1 + MARGIN);
  }

  /** Draw all rows up to a number of them, as for printing. */
  showAll(most: number): void {
    this.rows.extend(most);
    this.fit();
    this.draw(0, most);
  }

  /** Paint what is drawn again: the text is the same, what is said of it is not. */
  repaint(): void {
    for (const span of this.sheet.querySelectorAll<HTMLElement>("[data-token]")) this.paint(span);
  }

  /** The element of a token's first cell, if it is drawn. */
  find({ side, token }: Place): HTMLElement | null {
    return this.sheet.querySelector(`[data-side="${side}"] > [data-token="${token}"]`);
  }

  /** The units in sight: the first of the top row, and the last of the bottom one. */
  inSight(): [number, number] {
    const top = this.rowAt(this.box.scrollTop);
    const bottom = this.rowAt(this.box.scrollTop + this.box.clientHeight - 1);
    return [this.unitOn(top, 1) ?? 0, this.unitOn(bottom, -1) ?? this.comparison.common.length - 1];
  }

  /** The first token in sight; null at the very top, which stays the top. */
  first(): Place | null {
    const row = this.rowAt(this.box.scrollTop);
    if (!row) return null;
    const [side] = this.rows.filled(row);
    if (side === undefined) return null;
    const found = this.rows.on(side, row).next();
    return found.done ? null : { side, token: found.value.token };
  }

  /** Scroll a token's row to the top. */
  scrollTo({ side, token }: Place): void {
    this.reach({ side, token });
    this.box.scrollTop = this.top(this.rows.rowOf(side, token));
    this.show();
  }

  /** Scroll a token into sight, without moving the page. */
  reveal({ side, token }: Place): void {
    this.reach({ side, token });
    const row = this.rows.rowOf(side, token);
    const top = this.top(row);
    scrollBoxTo(this.box, top, this.top(row + 1) - top);
    this.show();
  }

  private reach({ side, token }: Place): void {
    this.rows.extend(0, side, token + 64);
    this.fit();
  }

  private top(row: number): number {
    return this.rows.lines(row) * this.lineHeight() + (this.interleaved ? row * GAP : 0);
  }

  private rowAt(top: number): number {
    let low = 0;
    let high = Math.max(0, this.rows.length - 1);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.top(middle) <= top) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private unitOn(row: number, by: 1 | -1): number | null {
    for (let at = row; at >= 0 && at < this.rows.length; at += by) {
      for (const side of this.rows.filled(at)) {
        const cells = [...this.rows.on(side, at)];
        const token = (by > 0 ? cells[0] : cells.at(-1))?.token;
        if (token !== undefined) return this.comparison.unitOf({ side, token });
      }
    }
    return null;
  }

  private draw(first: number, end: number): void {
    const last = Math.min(end, this.rows.length);
    for (const [row, drawn] of this.drawn) {
      if (row < first || row >= last) {
        drawn.remove();
        this.drawn.delete(row);
      }
    }
    const fresh = document.createDocumentFragment();
    for (let row = first; row < last; row++) {
      if (this.drawn.has(row)) continue;
      const drawn = this.row(row);
      drawn.style.top = `${this.top(row)}px`;
      this.drawn.set(row, drawn);
      fresh.append(drawn);
    }
    this.sheet.append(fresh);
  }

  private row(row: number): HTMLElement {
    const drawn = element("div", "deluge-pair");
    drawn.setAttribute("role", "none");
    const filled = this.rows.filled(row);
    for (let side = 0; side < this.comparison.sides; side++) {
      if (this.interleaved && !filled.includes(side)) continue;
      const line = element("div", "deluge-line deluge-side");
      line.dataset["side"] = String(side);
      line.setAttribute("role", "none");
      if (!filled.includes(side) && filled.length) line.classList.add("deluge-blank");
      for (const { token, at, cell } of this.rows.on(side, row))
        line.append(this.span({ side, token }, at, cell));
      if (this.interleaved) {
        const letter = element("span", "deluge-letter", LETTERS[side]);
        letter.setAttribute("aria-hidden", "true");
        drawn.append(letter);
      }
      drawn.append(line);
    }
    return drawn;
  }

  private span(place: Place, at: number, cell: Cell): HTMLElement {
    const span = element("span", "", cell.shown);
    span.dataset["token"] = String(place.token);
    span.dataset["of"] = String(place.side);
    if (at) span.dataset["cell"] = String(at);
    if (cell.marked) span.dataset["marked"] = "";
    if (at === 0) {
      span.id = this.idOf(place);
      span.setAttribute("role", "option");
      span.setAttribute("aria-posinset", String(place.token + 1));
      span.setAttribute("aria-setsize", String(this.comparison.count(place.side)));
    } else span.setAttribute("aria-hidden", "true");
    this.paint(span);
    return span;
  }

  private paint(span: HTMLElement): void {
    const { heat, classes } = this.appearanceOf({
      side: Number(span.dataset["of"]),
      token: Number(span.dataset["token"]),
    });
    let names = `deluge-token${classes}`;
    if (span.dataset["marked"] !== undefined) names += " deluge-marked";
    if (heat !== null) names += Number.isNaN(heat) ? " deluge-unknown" : ` ${heatClass(heat)}`;
    if (span.className !== names) span.className = names;
    if (span.hasAttribute("role"))
      span.setAttribute("aria-selected", String(names.includes("deluge-selected")));
  }
}
