// The rows of the table, as deluge_nb/comparisons/static.py writes them too.

import { element, plainButton } from "../ui/dom.ts";
import { measuresOf, withRole } from "./headings.ts";
import type { Cell, Row } from "./model.ts";

/** One row. `position` is that of its input; the last row of the table, with the means, has none. */
export function renderRow(row: Row, names: string[], position: number | null): HTMLTableRowElement {
  const line = withRole(element("tr"), "row");
  const label = withRole(element("th"), "rowheader");
  label.scope = "row";
  line.append(label);
  if (position !== null) {
    line.dataset["row"] = String(position);
    label.append(openButton(row.label));
    line.append(textCell(row.input));
  } else {
    label.colSpan = 2;
    label.append(row.label);
  }
  row.cells.forEach((cell, side) => {
    line.append(...renderCells(cell, names[side] ?? "", side));
  });
  return line;
}

/** The control that opens and closes a row. */
function openButton(label: string): HTMLButtonElement {
  const control = plainButton("deluge-button deluge-opener", label, "Compare answers");
  control.tabIndex = -1;
  return control;
}

function labelledCell(className: string, content: HTMLElement, label: string): HTMLTableCellElement {
  const cell = withRole(element("td", className), "cell");
  cell.append(content);
  if (label) cell.dataset["label"] = label;
  return cell;
}

function textCell(text: string, name = ""): HTMLTableCellElement {
  // Long texts are clipped within the cell: a cell itself cannot be.
  return labelledCell("deluge-text", element("div", "deluge-clip", text), name);
}

function numberCell(text: string, name: string, heat: number | null): HTMLTableCellElement {
  const cell = labelledCell("deluge-number", element("span", "deluge-chip", text), name);
  if (heat !== null) cell.style.setProperty("--u", String(heat));
  return cell;
}

function renderCells(cell: Cell, name: string, side: number): HTMLTableCellElement[] {
  const cells: HTMLTableCellElement[] = [];
  if (typeof cell.error === "string") {
    const failed = textCell(`no answer: ${cell.error}`, name);
    failed.classList.add("deluge-failed");
    failed.colSpan = measuresOf(side).length;
    cells.push(failed);
  } else {
    const mean = numberCell(cell.mean, "mean logprob", cell.warmth);
    mean.classList.add("deluge-warm");
    mean.title = cell.facts ?? "";
    cells.push(textCell(cell.text ?? "", name), mean);
    if (side > 0) {
      const change = numberCell(cell.change, "difference", cell.heat);
      change.classList.add("deluge-change");
      change.classList.toggle("deluge-surer", (cell.difference ?? 0) > 0);
      cells.push(change);
    }
  }
  for (const part of cells) {
    part.dataset["side"] = String(side);
    part.style.setProperty("--side", String(side));
  }
  return cells;
}
