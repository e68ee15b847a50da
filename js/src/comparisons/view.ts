// A table of comparisons: creates its parts, and updates them when a trait or the page changes.

import { followTheme } from "../host/theme.ts";
import { batchChanges, onChange, setTrait } from "../host/traits.ts";
import { textSelection } from "../text/clipboard.ts";
import { button, dropdown, element, focusedFrom } from "../ui/dom.ts";
import { ROOT_CLASSES, statusRegion } from "../ui/shell.ts";
import { renderColumns, renderHeadings, showSorted, sortableColumns, withRole } from "./headings.ts";
import type { Model, Row } from "./model.ts";
import { OpenedRow } from "./opened_row.ts";
import { orderOf, parseColumn } from "./order.ts";
import { renderRow } from "./rows.ts";

/** Rows that are shown at a time: each is a dozen elements. */
const PAGE = 25;
/** Variants of which one comparison has all; of more, it has the first and another. */
const MOST_COMPARED = 8;

export class ComparisonsView {
  readonly root = element("section", `${ROOT_CLASSES} deluge-comparisons`);
  readonly #title = element("div", "deluge-title");
  readonly #note = element("span", "deluge-summary");
  readonly #bar = element("div", "deluge-bar");
  readonly #range = element("span", "deluge-count");
  readonly #pager = element("span", "deluge-steps");
  readonly #sorting = element("span", "deluge-sorting");
  readonly #box = element("div", "deluge-frame-table");
  readonly #table = withRole(element("table", "deluge-table"), "table");
  readonly #body = withRole(element("tbody"), "rowgroup");
  readonly #foot = withRole(element("tfoot"), "rowgroup");
  readonly #status = statusRegion();
  readonly #head: HTMLElement;
  readonly #choice: HTMLSelectElement;
  readonly #opened: OpenedRow;
  #order: number[] = [];
  #page = 0;
  /** The position of the row whose control takes part in the tab order. */
  #current = 0;

  constructor(
    private readonly model: Model,
    signal: AbortSignal,
  ) {
    const names = model.get("names");
    this.#head = renderHeadings(names, (sortBy) => this.#sort(sortBy));
    this.#choice = dropdown("Sort by", sortableColumns(names), (sortBy) =>
      setTrait(model, "sort_by", sortBy),
    );
    this.#sorting.append(
      element("span", "", "sort by"),
      this.#choice,
      button("↕", "Reverse the order", () => setTrait(model, "descending", !model.get("descending"))),
    );
    this.#pager.append(
      button("‹", "Previous rows", () => this.#turn(-1)),
      this.#range,
      button("›", "Next rows", () => this.#turn(1)),
    );
    const columns = renderColumns(names);
    this.#opened = new OpenedRow(model, columns.childElementCount, signal);
    this.#table.style.setProperty("--variants", String(names.length));
    this.#table.append(columns, this.#head, this.#body, this.#foot);
    this.#box.append(this.#table);
    const top = element("div", "deluge-top");
    top.append(this.#title, this.#note);
    this.#bar.append(this.#sorting, this.#pager);
    this.root.append(top, this.#bar, this.#box, this.#status);
    this.#body.addEventListener("click", (event) => this.#onClick(event));
    this.#body.addEventListener("keydown", (event) => this.#onKey(event));
    this.#listen(signal);
    this.#paintTitle();
    this.#paintRows();
    this.#paintOpened();
  }

  /** Lay out what the host has just put on the page. */
  arrange(): void {
    this.#opened.arrange();
  }

  /** Data of the opened row has come from Python. */
  receive(row: number, side: number, parts: string[], blocks: DataView[]): void {
    if (row === this.model.get("opened")) this.#opened.receive(side, parts, blocks);
  }

  // Painting -----------------------------------------------------------------------------------------------------

  #paintTitle(): void {
    const title = this.model.get("title");
    this.#title.textContent = title;
    this.#title.hidden = !title;
    for (const part of [this.root, this.#table]) part.setAttribute("aria-label", title || "Compared answers");
    this.#note.textContent = this.model.get("note");
  }

  #paintRows(): void {
    const { model } = this;
    const [names, rows] = [model.get("names"), model.get("rows")];
    const [sortBy, descending] = [model.get("sort_by"), model.get("descending")];
    this.#order = orderOf(rows, parseColumn(sortBy, names), descending);
    showSorted(this.#head, sortBy, descending);
    this.#choice.value = sortBy;
    const first = this.#page * PAGE;
    const shown = this.#order.slice(first, first + PAGE);
    if (!shown.includes(this.#current)) this.#current = shown[0] ?? 0;
    this.#body.replaceChildren(...shown.map((position) => renderRow(rows[position] as Row, names, position)));
    const totals = { label: "mean", input: "", cells: model.get("totals") };
    this.#foot.replaceChildren(...(rows.length > 1 ? [renderRow(totals, names, null)] : []));
    this.#table.setAttribute("aria-rowcount", String(rows.length));
    this.#pager.hidden = rows.length <= PAGE;
    this.#sorting.hidden = rows.length < 2;
    this.#bar.classList.toggle("deluge-wide-only", this.#pager.hidden);
    this.#range.textContent = `${first + 1}–${first + shown.length} of ${rows.length}`;
    this.#paintCurrent();
    this.#placeOpened();
  }

  #paintCurrent(): void {
    for (const opener of this.#openers()) opener.tabIndex = positionOf(opener) === this.#current ? 0 : -1;
  }

  #paintOpened(): void {
    const opened = this.model.get("opened");
    if (opened !== null) this.#turnTo(opened);
    this.#placeOpened();
    if (opened !== null) this.#opened.show(opened);
    else this.#opened.clear();
    this.#paintCurrent();
  }

  /** Put the opened comparison below its row. */
  #placeOpened(): void {
    const opened = this.model.get("opened");
    const row = this.#rowAt(opened);
    for (const opener of this.#openers()) opener.ariaExpanded = String(positionOf(opener) === opened);
    if (row) row.after(this.#opened.root);
    else this.#opened.root.remove();
  }

  // Acting -------------------------------------------------------------------------------------------------------

  /** Sort by a column; once more turns the order round, and a third time takes the order of the inputs. */
  #sort(sortBy: string): void {
    const { model } = this;
    const isSame = model.get("sort_by") === sortBy;
    const isLast = isSame && model.get("descending") && sortBy !== "";
    model.set("sort_by", isLast ? "" : sortBy);
    model.set("descending", isSame && !model.get("descending"));
    model.save_changes();
    const [column] = this.#choice.selectedOptions;
    this.#status.textContent = `sorted by ${column?.textContent}, ${model.get("descending") ? "descending" : "ascending"}`;
  }

  #turn(by: 1 | -1): void {
    const last = Math.ceil(this.#order.length / PAGE) - 1;
    this.#page = Math.max(0, Math.min(last, this.#page + by));
    this.#paintRows();
    this.#status.textContent = `rows ${this.#range.textContent}`;
  }

  /** Make a row the current one, and show its page. */
  #turnTo(position: number): void {
    this.#current = position;
    if (this.#rowAt(position)) return;
    this.#page = Math.floor(this.#order.indexOf(position) / PAGE);
    this.#paintRows();
  }

  /** Open a row, or close it if it is open. `side` is the variant that was pressed. */
  #toggle(position: number, side: number): void {
    const { model } = this;
    const isMany = model.get("names").length > MOST_COMPARED;
    const against = isMany && side > 0 ? side : model.get("against");
    const isOpen = model.get("opened") === position && against === model.get("against");
    model.set("against", against);
    model.set("opened", isOpen ? null : position);
    model.save_changes();
  }

  #close(): void {
    const opened = this.model.get("opened");
    setTrait(this.model, "opened", null);
    this.#openerOf(opened)?.focus({ preventScroll: true });
  }

  #onClick(event: MouseEvent): void {
    const target = event.target as Element;
    const row = target.closest<HTMLElement>("tr[data-row]");
    const isSelecting = !target.closest("button") && textSelection(this.root) !== null;
    if (!row || isSelecting) return;
    const side = target.closest<HTMLElement>("[data-side]")?.dataset["side"];
    this.#current = Number(row.dataset["row"]);
    this.#toggle(this.#current, Number(side ?? -1));
    this.#paintCurrent();
  }

  #onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && this.model.get("opened") !== null) this.#close();
    else if (!this.#move(event)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Move the focus from row to row. Returns false for another key, or within the opened comparison. */
  #move({ key, target }: KeyboardEvent): boolean {
    if (!(target as Element).classList.contains("deluge-opener")) return false;
    const place = this.#order.indexOf(this.#current);
    const last = this.#order.length - 1;
    const targets: Record<string, number> = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: last };
    const next = targets[key];
    if (next === undefined) return false;
    const position = this.#order[Math.max(0, Math.min(last, next))] ?? 0;
    this.#turnTo(position);
    this.#paintCurrent();
    this.#openerOf(position)?.focus();
    return true;
  }

  /** The row of an input; null if it is on another page, or if there is no position. */
  #rowAt(position: number | null): HTMLElement | null {
    return this.#body.querySelector(`tr[data-row="${position}"]`);
  }

  #openerOf(position: number | null): HTMLElement | null {
    return this.#rowAt(position)?.querySelector<HTMLElement>(".deluge-opener") ?? null;
  }

  #openers(): NodeListOf<HTMLElement> {
    return this.#body.querySelectorAll<HTMLElement>(".deluge-opener");
  }

  // Listening ----------------------------------------------------------------------------------------------------

  #listen(signal: AbortSignal): void {
    const onSorted = batchChanges(() => {
      const hadFocus = this.#body.contains(focusedFrom(this.root));
      this.#page = 0;
      this.#paintRows();
      if (hadFocus) this.#openerOf(this.#current)?.focus({ preventScroll: true });
    }, signal);
    const onOpened = batchChanges(() => this.#paintOpened(), signal);
    onChange(this.model, ["sort_by", "descending"], onSorted, signal);
    onChange(this.model, ["opened", "against", "comparison"], onOpened, signal);
    onChange(this.model, ["title", "note"], () => this.#paintTitle(), signal);
    followTheme(this.root, () => {}, signal);
  }
}

function positionOf(opener: HTMLElement): number {
  return Number(opener.closest<HTMLElement>("tr")?.dataset["row"]);
}
