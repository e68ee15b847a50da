// The rows that can be seen, and no others, as elements.

import { lastPassing } from "../data/columns.ts";
import type { Cell } from "../text/layout.ts";
import { type Appearance, heatClass } from "../text/line_renderer.ts";
import { element } from "../ui/dom.ts";
import { scrollBoxTo } from "../ui/shell.ts";
import { type Alignment, LETTERS, type TokenRef } from "./alignment.ts";
import type { RowLayout } from "./row_layout.ts";

// RowLayout kept beyond either edge, so that scrolling shows no gap.
const OVERSCAN = 6;
/** Between the lines of one row and those of the next, where they are interleaved: px. */
const GAP = 8;

export class RowRenderer {
  private readonly rendered = new Map<number, HTMLElement>();
  interleaved = false;

  constructor(
    private readonly box: HTMLElement,
    private readonly layer: HTMLElement,
    private readonly alignment: Alignment,
    private readonly rows: RowLayout,
    private readonly lineHeight: () => number,
    private readonly idOf: (ref: TokenRef) => string,
    private readonly appearanceOf: (ref: TokenRef) => Appearance,
  ) {}

  /** Throw all rows away and draw those that can be seen: the layout has changed. */
  redraw(): void {
    this.layer.replaceChildren();
    this.rendered.clear();
    this.rows.extend(64);
    this.updateHeight();
    this.renderVisible();
  }

  updateHeight(): void {
    const { rows, lines } = this.rows.expected;
    this.layer.style.height = `${lines * this.lineHeight() + (this.interleaved ? rows * GAP : 0)}px`;
  }

  /** Draw what has come into sight, drop what has left it. */
  renderVisible(): void {
    const bottom = this.box.scrollTop + this.box.clientHeight;
    const { rows } = this;
    const before = rows.rowCount;
    while (!rows.done && this.topOf(rows.rowCount) <= bottom + OVERSCAN * this.lineHeight()) rows.step();
    if (rows.rowCount > before) this.updateHeight();
    this.renderRows(
      Math.max(0, this.rowAt(this.box.scrollTop) - OVERSCAN),
      this.rowAt(bottom) + 1 + OVERSCAN,
    );
  }

  /** Draw all rows up to a number of them, as for printing. */
  renderAll(most: number): void {
    this.rows.extend(most);
    this.updateHeight();
    this.renderRows(0, most);
  }

  /** Paint what is rendered again: the text is the same, what is said of it is not. */
  repaint(): void {
    for (const span of this.layer.querySelectorAll<HTMLElement>("[data-token]")) this.paint(span);
  }

  /** The element of a token's first cell, if it is rendered. */
  find({ side, token }: TokenRef): HTMLElement | null {
    return this.layer.querySelector(`[data-side="${side}"] > [data-token="${token}"]`);
  }

  /** The units in sight: the first of the top row, and the last of the bottom one. */
  visibleUnits(): [number, number] {
    const top = this.rowAt(this.box.scrollTop);
    const bottom = this.rowAt(this.box.scrollTop + this.box.clientHeight - 1);
    return [this.unitOn(top, 1) ?? 0, this.unitOn(bottom, -1) ?? this.alignment.common.length - 1];
  }

  /** The first token in sight; null at the very top, which stays the top. */
  topToken(): TokenRef | null {
    const row = this.rowAt(this.box.scrollTop);
    if (!row) return null;
    const [side] = this.rows.sidesOn(row);
    if (side === undefined) return null;
    const found = this.rows.cellsOn(side, row).next();
    return found.done ? null : { side, token: found.value.token };
  }

  /** Scroll a token's row to the top. */
  scrollToTop({ side, token }: TokenRef): void {
    this.layOutToken({ side, token });
    this.box.scrollTop = this.topOf(this.rows.rowOf(side, token));
    this.renderVisible();
  }

  /** Scroll a token into sight, without moving the page. */
  reveal({ side, token }: TokenRef): void {
    this.layOutToken({ side, token });
    const row = this.rows.rowOf(side, token);
    const top = this.topOf(row);
    scrollBoxTo(this.box, top, this.topOf(row + 1) - top);
    this.renderVisible();
  }

  private layOutToken({ side, token }: TokenRef): void {
    this.rows.extend(0, side, token + 64);
    this.updateHeight();
  }

  private topOf(row: number): number {
    return this.rows.linesBefore(row) * this.lineHeight() + (this.interleaved ? row * GAP : 0);
  }

  private rowAt(top: number): number {
    return lastPassing(this.rows.rowCount, (row) => this.topOf(row) <= top);
  }

  private unitOn(row: number, by: 1 | -1): number | null {
    for (let index = row; index >= 0 && index < this.rows.rowCount; index += by) {
      for (const side of this.rows.sidesOn(index)) {
        const cells = [...this.rows.cellsOn(side, index)];
        const token = (by > 0 ? cells[0] : cells.at(-1))?.token;
        if (token !== undefined) return this.alignment.unitOf({ side, token });
      }
    }
    return null;
  }

  private renderRows(first: number, end: number): void {
    const last = Math.min(end, this.rows.rowCount);
    for (const [row, rendered] of this.rendered) {
      if (row < first || row >= last) {
        rendered.remove();
        this.rendered.delete(row);
      }
    }
    const fresh = document.createDocumentFragment();
    for (let row = first; row < last; row++) {
      if (this.rendered.has(row)) continue;
      const rendered = this.renderRow(row);
      rendered.style.top = `${this.topOf(row)}px`;
      this.rendered.set(row, rendered);
      fresh.append(rendered);
    }
    this.layer.append(fresh);
  }

  private renderRow(row: number): HTMLElement {
    const rendered = element("div", "deluge-pair");
    rendered.setAttribute("role", "none");
    const filled = this.rows.sidesOn(row);
    for (let side = 0; side < this.alignment.sides; side++) {
      if (this.interleaved && !filled.includes(side)) continue;
      const line = element("div", "deluge-line deluge-side");
      line.dataset["side"] = String(side);
      line.setAttribute("role", "none");
      if (!filled.includes(side) && filled.length) line.classList.add("deluge-blank");
      for (const { token, index, cell } of this.rows.cellsOn(side, row))
        line.append(this.renderCell({ side, token }, index, cell));
      if (this.interleaved) {
        const letter = element("span", "deluge-letter", LETTERS[side]);
        letter.setAttribute("aria-hidden", "true");
        rendered.append(letter);
      }
      rendered.append(line);
    }
    return rendered;
  }

  private renderCell(ref: TokenRef, index: number, cell: Cell): HTMLElement {
    const span = element("span", "", cell.shown);
    span.dataset["token"] = String(ref.token);
    span.dataset["of"] = String(ref.side);
    if (index) span.dataset["cell"] = String(index);
    if (cell.marked) span.dataset["marked"] = "";
    if (index === 0) {
      span.id = this.idOf(ref);
      span.setAttribute("role", "option");
      span.setAttribute("aria-posinset", String(ref.token + 1));
      span.setAttribute("aria-setsize", String(this.alignment.count(ref.side)));
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
