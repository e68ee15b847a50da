import { expect, test } from "vitest";
import { breakLines, fragmentOf, lineOf } from "../src/layout.ts";

const texts = (words: string[], width: number) => {
  const starts = breakLines(
    words.length,
    width,
    (at) => words[at]?.length ?? 0,
    (at) => words[at]?.endsWith("↵") ?? false,
    (at) => words[at]?.startsWith(" ") ?? false,
  );
  return [...starts].slice(0, -1).map((start, line) => words.slice(start, starts[line + 1]).join(""));
};

test("words stay whole where a line is long enough for them", () => {
  expect(texts(["one", " two", " thr", "ee", " four"], 12)).toEqual(["one two", " three four"]);
});

test("a word longer than a line is cut between its tokens", () => {
  expect(texts(["abcd", "efgh", "ijkl"], 9)).toEqual(["abcdefgh", "ijkl"]);
});

test("a token longer than a line has the line to itself", () => {
  expect(texts(["a", "0123456789", "b"], 5)).toEqual(["a", "0123456789", "b"]);
});

test("a line ends where the text ends it, and at the end of the text no line is added", () => {
  expect(texts(["a", "↵", "↵", "b", "↵"], 80)).toEqual(["a↵", "↵", "b↵"]);
});

test("nothing has one line without fragments", () => {
  expect([
    ...breakLines(
      0,
      10,
      () => 1,
      () => false,
      () => false,
    ),
  ]).toEqual([0, 0]);
});

test("no fragment is lost or doubled, whatever the widths", () => {
  for (let seed = 1; seed < 200; seed++) {
    let state = seed;
    const random = () => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state / 2147483648;
    };
    const count = Math.floor(random() * 40);
    const widths = Array.from({ length: count }, () => Math.floor(random() * 12));
    const spaces = widths.map(() => random() < 0.4);
    const breaks = widths.map(() => random() < 0.1);
    const starts = breakLines(
      count,
      20,
      (at) => widths[at] ?? 0,
      (at) => breaks[at] ?? false,
      (at) => spaces[at] ?? false,
    );
    expect(starts[0]).toBe(0);
    expect(starts.at(-1)).toBe(count);
    for (let line = 1; line < starts.length - 1; line++) {
      expect(starts[line]).toBeGreaterThan(starts[line - 1] ?? 0);
    }
    for (let line = 0; line + 1 < starts.length; line++) {
      const own = widths.slice(starts[line], starts[line + 1]);
      const wide = own.reduce((sum, one) => sum + one, 0);
      expect(wide <= 20 || own.length === 1).toBe(true);
    }
  }
});

test("lines and fragments are found by bisection", () => {
  const starts = Uint32Array.of(0, 3, 7, 9);
  expect([0, 2, 3, 6, 7, 8].map((at) => lineOf(starts, at))).toEqual([0, 0, 1, 1, 2, 2]);
  expect([0, 1, 2, 3].map((token) => fragmentOf(Uint32Array.of(0, 1, 1, 2, 3), token))).toEqual([0, 1, 3, 4]);
});
