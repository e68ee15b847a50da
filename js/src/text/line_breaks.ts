// Where a line of tokens may end: the rule, and a line that is filled by it. Python has the same rule for terminals and
// pictures (deluge_nb/text/lines.py); both are tested by the vectors in tests/fixtures/line_vectors.json.

// Chinese, Japanese and Korean may break between any two letters.
const LETTERS = "\\u3041-\\u30fa\\u3400-\\u9fff\\uac00-\\ud7af\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
const BEFORE = new RegExp(`^[\\s·⇥↵${LETTERS}]`, "u");
const AFTER = new RegExp(`[\\s·\\-–—/，。、！？；：」』）${LETTERS}]$`, "u");
// No line begins with closing punctuation, or ends with an opening bracket or quote.
const NEVER_BEFORE = /^[,.!?:;%…‥、。，．！？；：％\p{Pe}\p{Pf}]/u;
const NEVER_AFTER = /[\p{Ps}\p{Pi}]$/u;

// The four patterns as bits.
const CAN_BREAK_BEFORE = 1;
const CAN_BREAK_AFTER = 2;
const HELD_BEFORE = 4;
const HELD_AFTER = 8;

/** The break rules of a text's two ends, as bits for {@link canBreak}. */
export function breakFlags(text: string): number {
  return (
    (BEFORE.test(text) ? CAN_BREAK_BEFORE : 0) |
    (AFTER.test(text) ? CAN_BREAK_AFTER : 0) |
    (NEVER_BEFORE.test(text) ? HELD_BEFORE : 0) |
    (NEVER_AFTER.test(text) ? HELD_AFTER : 0)
  );
}

/** The kind of line end that is possible between two texts: none, within a word, or before a word. */
enum Break {
  None,
  WithinWord,
  BeforeWord,
}
const breakBetween = (before: number, after: number): Break =>
  (after & HELD_BEFORE) | (before & HELD_AFTER)
    ? Break.None
    : (after & CAN_BREAK_BEFORE) | (before & CAN_BREAK_AFTER)
      ? Break.BeforeWord
      : Break.WithinWord;

/** True if a word may begin on a new line between two texts, given their flags. */
export const canBreak = (before: number, after: number): boolean =>
  breakBetween(before, after) === Break.BeforeWord;

/** A cell before which the line may end, and the width of the line up to there. */
interface BreakPoint {
  token: number;
  cell: number;
  used: number;
}

/** The last line of a text. It ends before a word, or if a word is too long, between any two cells that are not held. */
export class LastLine {
  /** The width of the cells on the line. */
  used = 0;
  /** True if the next cell begins a new line. */
  mustBreak = false;
  #isEmpty = true;
  /** The break flags of the last cell. */
  #flags = 0;
  /** The last point before a word, and the last point of any kind: the same one or a later one. */
  #word: BreakPoint | null = null;
  #cut: BreakPoint | null = null;

  /** `startLine` is called with the token and the cell that a new line begins with. */
  constructor(private readonly startLine: (token: number, cell: number) => void) {}

  /** Empty the line. */
  clear(): void {
    this.used = 0;
    this.mustBreak = false;
    this.#isEmpty = true;
    this.forgetBreaks();
  }

  /** Discard the break points, so that the cells stay on this line. */
  forgetBreaks(): void {
    this.#word = this.#cut = null;
  }

  /** Add a cell that fits. */
  append(width: number, flags: number, breaks: boolean): void {
    this.#isEmpty = false;
    this.used += width;
    this.#flags = flags;
    this.mustBreak = breaks;
  }

  /** Add a cell; end the line first where it would exceed `limit`. */
  place(token: number, cell: number, width: number, flags: number, breaks: boolean, limit: number): void {
    if (this.mustBreak) {
      this.clear();
      this.startLine(token, cell);
    }
    const here: BreakPoint = { token, cell, used: this.used };
    const allowed = this.#isEmpty ? Break.None : breakBetween(this.#flags, flags);
    if (allowed) this.#cut = here;
    if (allowed === Break.BeforeWord) this.#word = here;
    // The cells that move to the next line may be too long for that line too.
    while (!this.#isEmpty && this.used + width > limit) {
      const point = this.#word ?? this.#cut ?? here;
      // Cells may have moved since.
      if (point === here) here.used = this.used;
      this.#breakAt(point);
      this.#isEmpty = point === here;
    }
    this.append(width, flags, breaks);
  }

  /** End the line at a point; the cells after it begin the next line. */
  #breakAt(point: BreakPoint): void {
    const cut = this.#cut;
    const moved = this.used - point.used;
    this.clear();
    this.startLine(point.token, point.cell);
    this.used = moved;
    if (cut && cut !== point) {
      cut.used -= point.used;
      this.#cut = cut;
    }
  }
}
