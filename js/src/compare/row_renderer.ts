// Renders the visible rows of a comparison, and scrolls to its tokens.

import { lastPassing } from "../data/columns.ts";
import type { ScrollBox } from "../text/scroll_box.ts";
import { type Appearance, paintCell, renderCell } from "../text/token_span.ts";
import { VirtualLines } from "../text/virtual_lines.ts";
import { element } from "../ui/dom.ts";
import { scrollBoxTo } from "../ui/shell.ts";
import type { Alignment, TokenRef } from "./alignment.ts";
import { LETTERS } from "./letters.ts";
import type { RowLayout } from "./row_layout.ts";

/** Rows rendered above and below the visible ones, so that scrolling shows no gap. */
const OVERSCAN = 6;
/** The space between two rows if the responses are interleaved: px. */
const GAP = 8;

/** The view, as the rows use it. */
export interface RowHost {
  idOf(ref: TokenRef): string;
  appearanceOf(ref: TokenRef): Appearance;
}

export class RowRenderer {
  /** True if the lines of a row stand one below the other, and not side by side. */
  isInterleaved = false;
  readonly #lines: VirtualLines;

  constructor(
    private readonly scrollBox: ScrollBox<TokenRef>,
    private readonly alignment: Alignment,
    private readonly rows: RowLayout,
    private readonly host: RowHost,
  ) {
    this.#lines = new VirtualLines(
      scrollBox.layer,
      (row) => this.#renderRow(row),
      (row) => this.#topOf(row),
    );
  }

  /** Remove all rows, and lay out the first ones: the layout has changed. */
  clear(): void {
    this.#lines.removeFrom(0);
    this.rows.extend(64);
    this.updateHeight();
  }

  /** Give the layer the height that the whole text is expected to have. */
  updateHeight(): void {
    const { rows, lines } = this.rows.expected;
    const { layer, lineHeight } = this.scrollBox;
    layer.style.height = `${lines * lineHeight + (this.isInterleaved ? rows * GAP : 0)}px`;
  }

  /** Render rows that have become visible, and remove those that no longer are. */
  renderVisible(): void {
    const { rows } = this;
    const { box, lineHeight } = this.scrollBox;
    const bottom = box.scrollTop + box.clientHeight;
    const before = rows.rowCount;
    while (!rows.done && this.#topOf(rows.rowCount) <= bottom + OVERSCAN * lineHeight) rows.step();
    if (rows.rowCount > before) this.updateHeight();
    this.#show(Math.max(0, this.#rowAt(box.scrollTop) - OVERSCAN), this.#rowAt(bottom) + 1 + OVERSCAN);
  }

  /** Render the first rows, up to `limit` of them, for printing. */
  renderAll(limit: number): void {
    this.rows.extend(limit);
    this.updateHeight();
    this.#show(0, limit);
  }

  #show(first: number, end: number): void {
    this.#lines.show(first, Math.min(end, this.rows.rowCount));
  }

  /** Update the appearance of all rendered tokens; their text has not changed. */
  repaint(): void {
    for (const span of this.#lines.cells()) {
      const ref = { side: Number(span.dataset["of"]), token: Number(span.dataset["token"]) };
      paintCell(span, this.host.appearanceOf(ref));
    }
  }

  /** The element of a token's first cell, if it is rendered. */
  find({ side, token }: TokenRef): HTMLElement | null {
    return this.scrollBox.layer.querySelector(`[data-side="${side}"] > [data-token="${token}"]`);
  }

  /** The visible units: the first of the top row, and the last of the bottom row. */
  visibleUnits(): [number, number] {
    const { scrollTop, clientHeight } = this.scrollBox.box;
    const top = this.#rowAt(scrollTop);
    const bottom = this.#rowAt(scrollTop + clientHeight - 1);
    return [this.#unitOn(top, 1) ?? 0, this.#unitOn(bottom, -1) ?? this.alignment.common.length - 1];
  }

  /** The first visible token; null at the very top, which stays the top. */
  topToken(): TokenRef | null {
    const row = this.#rowAt(this.scrollBox.box.scrollTop);
    if (!row) return null;
    const [side] = this.rows.sidesOn(row);
    if (side === undefined) return null;
    const first = this.rows.cellsOn(side, row).next();
    return first.done ? null : { side, token: first.value.token };
  }

  /** Scroll a token's row to the top. */
  scrollToTop(ref: TokenRef): void {
    this.#layOutToken(ref);
    this.scrollBox.box.scrollTop = this.#topOf(this.rows.rowOf(ref));
    this.renderVisible();
  }

  /** Scroll the box, but not the page, until a token is visible. */
  reveal(ref: TokenRef): void {
    this.#layOutToken(ref);
    const row = this.rows.rowOf(ref);
    const top = this.#topOf(row);
    scrollBoxTo(this.scrollBox.box, top, this.#topOf(row + 1) - top);
    this.renderVisible();
  }

  #layOutToken({ side, token }: TokenRef): void {
    this.rows.extend(0, side, token + 64);
    this.updateHeight();
  }

  #topOf(row: number): number {
    const lines = this.rows.linesBefore(row) * this.scrollBox.lineHeight;
    return lines + (this.isInterleaved ? row * GAP : 0);
  }

  #rowAt(top: number): number {
    return lastPassing(this.rows.rowCount, (row) => this.#topOf(row) <= top);
  }

  /** The first or last unit on a row; if the row is empty, on the nearest one that is not. */
  #unitOn(row: number, by: 1 | -1): number | null {
    for (let near = row; near >= 0 && near < this.rows.rowCount; near += by) {
      const units = this.rows.sidesOn(near).flatMap((side) => {
        const cells = [...this.rows.cellsOn(side, near)];
        const cell = by > 0 ? cells[0] : cells.at(-1);
        return cell ? [this.alignment.unitOf({ side, token: cell.token })] : [];
      });
      // One response may go on where the others have ended.
      if (units.length) return by > 0 ? Math.min(...units) : Math.max(...units);
    }
    return null;
  }

  #renderRow(row: number): HTMLElement {
    const root = element("div", "deluge-pair");
    root.setAttribute("role", "none");
    const sides = this.rows.sidesOn(row);
    for (let side = 0; side < this.alignment.sides; side++) {
      const hasText = sides.includes(side);
      if (this.isInterleaved) {
        if (!hasText) continue;
        const letter = element("span", "deluge-letter", LETTERS[side]);
        letter.setAttribute("aria-hidden", "true");
        root.append(letter);
      }
      const line = this.#renderLine(side, row);
      if (!hasText && sides.length) line.classList.add("deluge-blank");
      root.append(line);
    }
    return root;
  }

  #renderLine(side: number, row: number): HTMLElement {
    const line = element("div", "deluge-line deluge-side");
    line.dataset["side"] = String(side);
    line.setAttribute("role", "none");
    this.rows.linesOf(side).directions.turn(line, row);
    // Not a margin: the column must stay where it is.
    line.style.textIndent = `${-this.rows.hangOf(side, row)}px`;
    for (const { token, index, cell } of this.rows.cellsOn(side, row)) {
      const ref = { side, token };
      const span = renderCell(token, index, cell, this.host.idOf(ref), this.alignment.count(side));
      span.dataset["of"] = String(side);
      paintCell(span, this.host.appearanceOf(ref));
      line.append(span);
    }
    return line;
  }
}
