// The left edge of wrapped lines: white space at which a line was wrapped hangs in the margin, so that all lines begin with a
// letter at the edge. Python has the same rule for pictures (deluge_nb/text/lines.py).

import type { Fragment } from "../data/store.ts";

const WHITE_SPACE = /^\s*/u;
export const RIGHT_TO_LEFT =
  /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
export const LETTER = /\p{L}/u;

/** The width of the white space that a wrapped line begins with: px. It is 0 if the line has nothing else. */
export function hangingWidth(
  line: Iterable<{ cell: Fragment & { width: number } }>,
  measure: (text: string) => number,
): number {
  let width = 0;
  for (const { cell } of line) {
    const { shown, copied } = cell;
    const size = WHITE_SPACE.exec(copied)?.[0].length ?? 0;
    if (!size || size < copied.length) return width + measure(shown.slice(0, size));
    width += cell.width;
  }
  return 0;
}
