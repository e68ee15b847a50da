// The rows of the table, as deluge_nb/comparisons/static.py writes them too.

import { element, suppressShortcuts } from "../ui/dom.ts";
import { withRole } from "./headings.ts";
import type { Cell, Row } from "./model.ts";

/** One row. `position` is that of its input; the last row of the table, with the means, has none. */
export function renderRow(row: Row, names: string[], position: number | null): HTMLTableRowElement {
  const line = withRole(element("tr"), "row");
  const label = withRole(element("th"), "rowheader");
  label.scope = "row";
  if (position !== null) {
    line.dataset["row"] = String(position);
    label.append(openButton(row.label));
    line.append(label, textCell(row.input));
  } else {
    label.colSpan = 2;
    label.textContent = row.label;
    line.append(label);
  }
  row.cells.forEach((cell, side) => {
    line.append(...renderCells(cell, names[side] ?? "", side));
  });
  return line;
}

/** The control that opens and closes a row. */
function openButton(label: string): HTMLButtonElement {
  const control = suppressShortcuts(element("button", "deluge-button deluge-opener", label));
  control.type = "button";
  control.title = "Compare the answers";
  control.setAttribute("aria-expanded", "false");
  control.tabIndex = -1;
  return control;
}

function textCell(text: string, name = ""): HTMLTableCellElement {
  const cell = withRole(element("td", "deluge-text"), "cell");
  // Long texts are clipped within the cell: a cell itself cannot be.
  cell.append(element("div", "deluge-clip", text));
  if (name) cell.dataset["label"] = name;
  return cell;
}

function numberCell(text: string, name: string, heat: number | null): HTMLTableCellElement {
  const cell = withRole(element("td", "deluge-number"), "cell");
  cell.append(element("span", "deluge-chip", text));
  cell.dataset["label"] = name;
  if (heat !== null) cell.style.setProperty("--u", String(heat));
  return cell;
}

function renderCells(cell: Cell, name: string, side: number): HTMLTableCellElement[] {
  const cells: HTMLTableCellElement[] = [];
  if (typeof cell.error === "string") {
    const failed = textCell(`no answer: ${cell.error}`, name);
    failed.classList.add("deluge-failed");
    failed.colSpan = side === 0 ? 2 : 3;
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
