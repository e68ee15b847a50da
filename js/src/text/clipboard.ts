// Copying gives the completion's text, not the marks that are drawn for it nor the breaks of the screen.

import type { Store } from "../data/store.ts";
import type { Layout } from "./layout.ts";

interface Place {
  token: number;
  cell: number;
}

function placeOf(node: Node | null): Place | null {
  const span = (node instanceof Element ? node : node?.parentElement)?.closest<HTMLElement>("[data-token]");
  if (!span) return null;
  return { token: Number(span.dataset["token"]), cell: Number(span.dataset["cell"] ?? 0) };
}

/** What of the page is selected, if anything. Of a shadow tree the page knows nothing, unless the tree is named. */
export function selectedBeside(node: Node): AbstractRange | null {
  const selection = window.getSelection();
  if (!selection?.rangeCount) return null;
  const tree = node.getRootNode();
  const composed = tree instanceof ShadowRoot && typeof selection.getComposedRanges === "function";
  const range = composed ? selection.getComposedRanges({ shadowRoots: [tree] })[0] : selection.getRangeAt(0);
  return range && !range.collapsed ? range : null;
}

/** The true text of a selection that begins and ends in tokens; null for any other. */
export function copiedText(range: AbstractRange, store: Store, layout: Layout): string | null {
  const first = placeOf(range.startContainer);
  const last = placeOf(range.endContainer);
  if (!first || !last) return null;
  let text = "";
  for (let token = first.token; token <= last.token; token++) {
    const inner = token > first.token && token < last.token;
    if (inner) {
      text += store.source(token);
      continue;
    }
    layout.cells(token).forEach((cell, at) => {
      const begins = token === first.token && at === first.cell;
      const ends = token === last.token && at === last.cell;
      if ((token === first.token && at < first.cell) || (token === last.token && at > last.cell)) return;
      // Within what is drawn as it is, part of it may be meant.
      const literal = cell.shown === cell.copied;
      if (ends && !literal && range.endOffset === 0) return;
      text += cell.copied.slice(
        begins && literal ? range.startOffset : 0,
        ends && literal ? range.endOffset : cell.copied.length,
      );
    });
  }
  return text;
}
