import { expect, test } from "vitest";
import vectors from "../../../tests/fixtures/line_vectors.json" with { type: "json" };
import { Store } from "../../src/data/store.ts";
import { Layout } from "../../src/text/layout.ts";
import { breakFlags, canBreak } from "../../src/text/line_breaks.ts";
import { tokens } from "../blocks.ts";

const pairs = vectors.pairs as [string, string, boolean][];
const cases = vectors.lines as [string[], number, string[]][];

// Terminals give letters of Chinese, Japanese and Korean and their punctuation two columns.
const columns = (text: string) =>
  [...text].reduce(
    (sum, letter) => sum + (/[\u3000-\u9fff\uac00-\ud7af\uff00-\uff60]/u.test(letter) ? 2 : 1),
    0,
  );

test.each(pairs)("between %j and %j a word may begin on a new line: %s", (before, after, expected) => {
  expect(canBreak(breakFlags(before), breakFlags(after))).toBe(expected);
});

test.each(cases)("%j on lines of %d columns", (words, width, lines) => {
  const layout = new Layout(new Store(() => {}, tokens(words)), columns, (fragment) => fragment.shown);
  layout.reset(width);
  layout.extend(words.length);
  const laidOut = Array.from({ length: layout.lineCount }, (_, line) =>
    [...layout.cellsOn(line)].map(({ cell }) => cell.shown).join(""),
  );
  expect(laidOut).toEqual(lines);
});
