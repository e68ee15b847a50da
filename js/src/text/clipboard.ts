// Copying: finds the true text of a selection, without the marks that are drawn for white space and without the line breaks
// of the screen, and writes to the clipboard.

import type { Store } from "../data/store.ts";
import type { Layout } from "./layout.ts";

/** The page's text selection, if it is not empty. Inside a shadow tree it is found only by naming the tree. */
export function textSelection(node: Node): AbstractRange | null {
  const selection = window.getSelection();
  if (!selection?.rangeCount) return null;
  const root = node.getRootNode();
  const hasRanges = root instanceof ShadowRoot && typeof selection.getComposedRanges === "function";
  const range = hasRanges ? selection.getComposedRanges({ shadowRoots: [root] })[0] : selection.getRangeAt(0);
  return range && !range.collapsed ? range : null;
}

/** The cells that a selection within a box touches, in order; none if it goes beyond the box. */
function touchedCells(range: AbstractRange, box: Element, selector: string): HTMLElement[] {
  // A selected paragraph ends at the beginning of what follows it.
  const endsInBox = box.contains(range.endContainer) || range.endOffset === 0;
  if (!box.contains(range.startContainer) || !endsInBox) return [];
  const live = document.createRange();
  live.setStart(range.startContainer, range.startOffset);
  live.setEnd(range.endContainer, range.endOffset);
  return [...box.querySelectorAll<HTMLElement>(selector)].filter((cell) => live.intersectsNode(cell));
}

/** The true text of a selection within a box; null if it touches none of the cells, or goes beyond the box. */
export function selectedText(
  range: AbstractRange,
  box: Element,
  selector: string,
  store: Store,
  layout: Layout,
): string | null {
  const cells = touchedCells(range, box, selector);
  const [firstCell, lastCell] = [cells[0], cells.at(-1)];
  if (!firstCell || !lastCell) return null;
  const startsWithin = firstCell.contains(range.startContainer);
  const endsWithin = lastCell.contains(range.endContainer);
  const startOffset = offsetIn(firstCell, range.startContainer, range.startOffset);
  const endOffset = offsetIn(lastCell, range.endContainer, range.endOffset);
  const [first, last] = [refOf(firstCell), refOf(lastCell)];
  let text = "";
  for (let token = first.token; token <= last.token; token++) {
    const isInner = token > first.token && token < last.token;
    if (isInner) {
      text += store.source(token);
      continue;
    }
    const tokenCells = layout.cellsOf(token);
    const drawnLength = tokenCells.reduce((length, { copied }) => length + copied.length, 0);
    tokenCells.forEach((cell, index) => {
      const isStart = startsWithin && token === first.token && index === first.cell;
      const isEnd = endsWithin && token === last.token && index === last.cell;
      if ((token === first.token && index < first.cell) || (token === last.token && index > last.cell))
        return;
      // Offsets within the selection count only if the cell shows its text unchanged.
      const isLiteral = cell.shown === cell.copied;
      if (isEnd && !isLiteral && endOffset === 0) return;
      if (isStart && !isLiteral && startOffset >= cell.shown.length) return;
      text += cell.copied.slice(
        isStart && isLiteral ? startOffset : 0,
        isEnd && isLiteral ? endOffset : cell.copied.length,
      );
      // The last cell of a very long token is a sign for the rest, which is not drawn.
      if (index === tokenCells.length - 1) text += store.source(token).slice(drawnLength);
    });
  }
  return text;
}

/** The letters of a cell's text before an end of a selection, which is in the text or between the children of the cell. */
function offsetIn(cell: HTMLElement, container: Node, offset: number): number {
  return container === cell && offset ? (cell.textContent ?? "").length : offset;
}

function refOf({ dataset }: HTMLElement): { token: number; cell: number } {
  return { token: Number(dataset["token"]), cell: Number(dataset["cell"] ?? 0) };
}

/** Write a text to the clipboard, and call `done`. */
export function writeClipboard(text: string, done: () => void): void {
  if (!navigator.clipboard) copyByEvent(text, done);
  else navigator.clipboard.writeText(text).then(done, () => copyByEvent(text, done));
}

/** Pages that may not write to the clipboard may still answer a copy event that the user has caused. */
function copyByEvent(text: string, done: () => void): void {
  const onCopy = (event: ClipboardEvent) => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    event.stopImmediatePropagation();
    done();
  };
  document.addEventListener("copy", onCopy, { once: true, capture: true });
  document.execCommand("copy");
  document.removeEventListener("copy", onCopy, { capture: true });
}
