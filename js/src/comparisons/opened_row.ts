// The comparison below an opened row: asks Python for it, and shows it as the widget for one comparison does.

import { CompareView } from "../compare/view.ts";
import { unpack } from "../data/codec.ts";
import { Kernel } from "../host/kernel.ts";
import { StaticModel } from "../host/static_model.ts";
import { element } from "../ui/dom.ts";
import { withRole } from "./headings.ts";
import type { Model, Opened, SavedRows } from "./model.ts";

const WAITING = "asking Python for the comparison …";

export class OpenedRow {
  readonly root = withRole(element("tr", "deluge-opened"), "row");
  readonly #cell = withRole(element("td"), "cell");
  readonly #kernel: Kernel;
  #view: CompareView | undefined;
  #lifetime = new AbortController();
  /** The comparison that is shown: the same again is left as it is. */
  #shown = "";

  constructor(
    private readonly model: Model,
    columns: number,
    signal: AbortSignal,
  ) {
    this.#cell.colSpan = columns;
    this.root.append(this.#cell);
    this.#kernel = new Kernel(model, this.root, (reason) => this.#say(reason), signal);
    signal.addEventListener("abort", () => this.#lifetime.abort());
  }

  /** Show the comparison of a row, or ask for it. */
  show(row: number): void {
    const saved = this.model.get("details");
    if (saved) {
      this.#showSaved(row, saved);
      return;
    }
    const opened = this.model.get("comparison");
    if (opened.row === row && opened.against === this.model.get("against")) {
      this.#kernel.answered();
      if (opened.state)
        this.#showComparison(opened as Opened, this.model.get("data"), this.model.get("alignment"));
      else this.#say(opened.error ?? "");
      return;
    }
    this.#say(WAITING);
    this.#kernel.ask({ row });
  }

  /** Something has come from Python for this row. */
  receive(side: number, parts: string[], blocks: DataView[]): void {
    this.#kernel.answered();
    if (parts.length) this.#view?.receive(side, parts, blocks);
  }

  /** End the comparison. */
  clear(): void {
    this.#kernel.answered();
    this.#lifetime.abort();
    this.#lifetime = new AbortController();
    this.#view = undefined;
    this.#shown = "";
    this.#cell.replaceChildren();
  }

  arrange(): void {
    this.#view?.arrange();
  }

  #say(text: string): void {
    this.clear();
    this.#cell.append(withRole(element("div", "deluge-waiting", text), "status"));
  }

  /** Show a row of a saved page, which has those of all rows, as deluge_nb/comparisons/saved.py packs them. */
  #showSaved(row: number, { shared, rows }: SavedRows): void {
    const against = this.model.get("against");
    const index = rows.findIndex((saved) => saved.row === row && (saved.against ?? against) === against);
    const { state, error } = rows[index] ?? {};
    if (!state) {
      this.#say(error ?? "");
      return;
    }
    const { columns } = unpack(this.model.get("blocks"));
    const blockOf = (name: string): DataView | undefined => {
      const column = columns[name];
      return column && new DataView(column.buffer, column.byteOffset, column.byteLength);
    };
    const opened = { row, against, state: { ...shared, ...state } };
    this.#showComparison(
      opened,
      blockOf(`data${index}`) as DataView,
      blockOf(`alignment${index}`) as DataView,
      (side) => blockOf(`alternatives${index}.${side}`),
    );
  }

  #showComparison(
    { row, against, state }: Opened,
    data: DataView,
    alignment: DataView,
    alternativesOf?: (side: number) => DataView | undefined,
  ): void {
    const key = `${row} ${against}`;
    if (this.#shown === key) return;
    this.clear();
    this.#shown = key;
    const inner = new StaticModel(
      {
        ...state,
        data,
        alignment,
        selected: null,
        title: "",
        link: "",
      },
      (content) => this.model.send({ ...content, row }),
    );
    const view = new CompareView(inner as never, this.#lifetime.signal);
    view.names.forEach((_, side) => {
      const block = alternativesOf?.(side);
      if (block) view.receive(side, ["alternatives"], [block]);
    });
    this.#view = view;
    this.#cell.append(view.root);
    view.arrange();
  }
}
