// Copying gives the completion's text, not the marks that are drawn for it nor the breaks of the screen.

import type { Tokens } from "./columns.ts";

function fragmentAt(node: Node | null): number | null {
  const at = (node instanceof Element ? node : node?.parentElement)?.closest<HTMLElement>("[data-at]")
    ?.dataset["at"];
  return at === undefined ? null : Number(at);
}

/** The true text of a selection that begins and ends in tokens; null for any other. */
export function copiedText(selection: Selection, tokens: Tokens): string | null {
  if (selection.rangeCount === 0 || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const first = fragmentAt(range.startContainer);
  const last = fragmentAt(range.endContainer);
  if (first === null || last === null) return null;
  const { copied, copiedAt, shown, shownAt } = tokens;
  let text = "";
  for (let at = first; at <= last; at++) {
    const own = copied[copiedAt[at] ?? 0] ?? "";
    // Within a token that is drawn as it is, part of it may be meant.
    const literal = shown[shownAt[at] ?? 0] === own;
    const from = at === first && literal ? range.startOffset : 0;
    const to = at === last && literal ? range.endOffset : own.length;
    if (at === last && !literal && range.endOffset === 0) continue;
    text += own.slice(from, to);
  }
  return text;
}
