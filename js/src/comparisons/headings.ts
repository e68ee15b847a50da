// The headings of the table: the variants, and below them a button for each column that sorts by it.

import { element, plainButton } from "../ui/dom.ts";
import { type Column, formatColumn, type Measure } from "./order.ts";

export const WORDS: Record<Measure, string> = {
  "": "order of the inputs",
  input: "input",
  answer: "answer",
  logprob: "mean logprob",
  difference: "difference",
};

/** The columns of one variant; the first has no difference. */
export function measuresOf(side: number): Measure[] {
  const measures: Measure[] = ["answer", "logprob", "difference"];
  return measures.slice(0, side ? 3 : 2);
}

/** All columns by which the table can be sorted, with a name for each. */
export function sortableColumns(names: string[]): [sortBy: string, text: string][] {
  const own = names.flatMap((name, side) =>
    measuresOf(side).map((measure): [string, string] => [
      formatColumn({ measure, side }, names),
      `${name}: ${WORDS[measure]}`,
    ]),
  );
  return [["", WORDS[""]], ["input", WORDS.input], ...own];
}

export function withRole<E extends HTMLElement>(target: E, role: string): E {
  target.setAttribute("role", role);
  return target;
}

/** A heading whose button sorts by its column. */
function sortHeading(column: Column, sortBy: string, onSort: (sortBy: string) => void): HTMLTableCellElement {
  const heading = withRole(element("th"), "columnheader");
  heading.scope = "col";
  heading.dataset["sort"] = sortBy;
  const word = WORDS[column.measure];
  const control = plainButton("deluge-sort", word, `Sort by ${word}`);
  control.addEventListener("click", () => onSort(sortBy));
  heading.append(control);
  if (column.measure === "logprob" || column.measure === "difference") heading.classList.add("deluge-number");
  return heading;
}

/** The two rows of headings. */
export function renderHeadings(names: string[], onSort: (sortBy: string) => void): HTMLElement {
  const head = withRole(element("thead"), "rowgroup");
  const groups = withRole(element("tr"), "row");
  const measures = withRole(element("tr"), "row");
  const place = sortHeading({ measure: "", side: -1 }, "", onSort);
  const control = place.firstElementChild as HTMLElement;
  control.textContent = "#";
  const input = sortHeading({ measure: "input", side: -1 }, "input", onSort);
  place.rowSpan = input.rowSpan = 2;
  groups.append(place, input);
  names.forEach((name, side) => {
    const group = withRole(element("th", "deluge-variant", name), "columnheader");
    group.scope = "colgroup";
    group.colSpan = measuresOf(side).length;
    group.title = name;
    groups.append(group);
    for (const measure of measuresOf(side)) {
      const column = { measure, side };
      measures.append(sortHeading(column, formatColumn(column, names), onSort));
    }
  });
  head.append(groups, measures);
  return head;
}

/** Mark the column by which the table is sorted. */
export function showSorted(head: HTMLElement, sortBy: string, descending: boolean): void {
  for (const heading of head.querySelectorAll<HTMLElement>("[data-sort]")) {
    const isSorted = heading.dataset["sort"] === sortBy;
    heading.setAttribute("aria-sort", !isSorted ? "none" : descending ? "descending" : "ascending");
  }
}

/** The widths of the columns: numbers are narrow, texts share the rest. */
export function renderColumns(names: string[]): HTMLElement {
  const group = element("colgroup");
  group.append(element("col", "deluge-col-label"), element("col"));
  for (const side of names.keys())
    for (const measure of measuresOf(side))
      group.append(element("col", measure === "answer" ? "" : "deluge-col-number"));
  return group;
}
