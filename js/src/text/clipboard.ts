// Copying: finds the true text of a selection, without the marks that are drawn for white space and without the line breaks
// of the screen, and writes to the clipboard.

import type { Store } from "../data/store.ts";
import type { Layout } from "./layout.ts";

interface CellRef {
  token: number;
  cell: number;
}

function cellOf(node: Node | null): CellRef | null {
  const span = (node instanceof Element ? node : node?.parentElement)?.closest<HTMLElement>("[data-token]");
  if (!span) return null;
  return { token: Number(span.dataset["token"]), cell: Number(span.dataset["cell"] ?? 0) };
}

/** The page's text selection, if it is not empty. Inside a shadow tree it is found only by naming the tree. */
export function textSelection(node: Node): AbstractRange | null {
  const selection = window.getSelection();
  if (!selection?.rangeCount) return null;
  const root = node.getRootNode();
  const hasRanges = root instanceof ShadowRoot && typeof selection.getComposedRanges === "function";
  const range = hasRanges ? selection.getComposedRanges({ shadowRoots: [root] })[0] : selection.getRangeAt(0);
  return range && !range.collapsed ? range : null;
}

/** The true text of a selection; null unless it begins and ends in tokens. */
export function selectedText(range: AbstractRange, store: Store, layout: Layout): string | null {
  const first = cellOf(range.startContainer);
  const last = cellOf(range.endContainer);
  if (!first || !last) return null;
  let text = "";
  for (let token = first.token; token <= last.token; token++) {
    const isInner = token > first.token && token < last.token;
    if (isInner) {
      text += store.source(token);
      continue;
    }
    layout.cellsOf(token).forEach((cell, index) => {
      const isStart = token === first.token && index === first.cell;
      const isEnd = token === last.token && index === last.cell;
      if ((token === first.token && index < first.cell) || (token === last.token && index > last.cell))
        return;
      // Offsets within the selection count only if the cell shows its text unchanged.
      const isLiteral = cell.shown === cell.copied;
      if (isEnd && !isLiteral && range.endOffset === 0) return;
      text += cell.copied.slice(
        isStart && isLiteral ? range.startOffset : 0,
        isEnd && isLiteral ? range.endOffset : cell.copied.length,
      );
    });
  }
  return text;
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
