import { expect, test } from "vitest";
import { unpack } from "../../src/data/codec.ts";
import { Store } from "../../src/data/store.ts";
import { Directions } from "../../src/text/direction.ts";
import { Layout, splitFragment } from "../../src/text/layout.ts";
import { tokens } from "../blocks.ts";

const layOut = (words: string[], width: number) => {
  const store = new Store(() => {}, tokens(words));
  const layout = new Layout(
    store,
    (text) => text.length,
    (stretch) => stretch.shown,
  );
  layout.reset(width);
  layout.extend(words.length);
  return { store, layout };
};
const linesOf = (layout: Layout) =>
  Array.from({ length: layout.lineCount }, (_, line) =>
    [...layout.cellsOn(line)].map(({ cell }) => cell.shown).join(""),
  );
const texts = (words: string[], width: number) => linesOf(layOut(words, width).layout);

test("words are not split if they fit on a line", () => {
  expect(texts(["one", " two", " thr", "ee", " four"], 12)).toEqual(["one two", " three four"]);
});

test("a word longer than a line is split between its tokens", () => {
  expect(texts(["abcd", "efgh", "ijkl"], 9)).toEqual(["abcdefgh", "ijkl"]);
});

test("a token longer than a line is split at the end of the line, at a space if possible", () => {
  expect(texts(["a", "0123456789ab", "c"], 5)).toEqual(["a", "01234", "56789", "abc"]);
  expect(texts(["one two three"], 8)).toEqual(["one two ", "three"]);
});

test("emoji of several characters are not split", () => {
  const family = "👩‍👩‍👧";
  expect(texts([family + family], family.length)).toEqual([family, family]);
});

test("a line ends at a line break, and a final line break adds no line", () => {
  expect(texts(["a", "↵", " ↵", "b", "↵"], 80)).toEqual(["a↵", " ↵", "b↵"]);
});

test("Chinese and Japanese may break between any two letters, but not before a full stop", () => {
  expect(texts(["日本", "語", "です", "。"], 5)).toEqual(["日本語", "です。"]);
});

test("an empty text has one empty line", () => {
  expect(texts([], 10)).toEqual([""]);
});

const random = (seed: number) => {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
};
const words = (next: () => number, count: number) =>
  Array.from({ length: count }, () => {
    const letters = "abcdefghijklmnopqrstuvwxyzabcdefg".slice(0, Math.floor(next() * 14));
    return `${next() < 0.4 ? " " : ""}${letters}${next() < 0.1 ? "↵" : ""}` || "x";
  });

test("no token is lost or repeated, and no line is too wide, for random words", () => {
  for (let seed = 1; seed < 200; seed++) {
    const next = random(seed);
    const some = words(next, Math.floor(next() * 40));
    const width = 1 + Math.floor(next() * 20);
    const lines = texts(some, width);
    expect(lines.join("")).toBe(some.join(""));
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
  }
});

test("appended text is laid out like text that was there from the start", () => {
  for (let seed = 1; seed < 200; seed++) {
    const next = random(seed * 7);
    const some = words(next, 2 + Math.floor(next() * 40));
    const at = 1 + Math.floor(next() * (some.length - 1));
    const { store, layout } = layOut(some.slice(0, at), 15);
    store.receiveTokens(unpack(tokens(some.slice(at), { first: at })));
    layout.invalidate(at);
    layout.extend(store.count);
    expect(linesOf(layout)).toEqual(texts(some, 15));
  }
});

test("only rows that are sent again are laid out again", () => {
  const { store, layout } = layOut(["one", " two", " three", " four"], 8);
  expect(linesOf(layout)).toEqual(["one two", " three", " four"]);
  const before = layout.lineCount;
  store.receiveTokens(unpack(tokens([" vi", "er", " end"], { first: 3 })));
  expect(layout.invalidate(3)).toBe(before - 1);
  layout.extend(store.count);
  expect(linesOf(layout)).toEqual(["one two", " three", " vier", " end"]);
});

test("a layout in small steps gives the same lines", () => {
  const some = words(random(5), 300);
  const store = new Store(() => {}, tokens(some));
  const layout = new Layout(
    store,
    (text) => text.length,
    (stretch) => stretch.shown,
  );
  layout.reset(30);
  for (let token = 1; !layout.done; token += 7) layout.extend(token);
  expect(linesOf(layout)).toEqual(texts(some, 30));
});

test("lines are found by token, and tokens by their position on the line", () => {
  const { layout } = layOut(["one", " two", " three", " four"], 8);
  expect([0, 1, 2, 3].map((token) => layout.lineOf(token))).toEqual([0, 0, 1, 2]);
  expect(layout.tokenAt(0, 1)).toBe(0);
  expect(layout.tokenAt(0, 5)).toBe(1);
  expect(layout.tokenAt(0, 99)).toBe(1);
  expect(layout.centerOf(1)).toBe(5);
});

test("the parts of a split mark stand for its text only once", () => {
  const parts = splitFragment(
    { shown: "⟨U+202E⟩", copied: "‮", breaks: true, marked: true },
    3,
    (text) => text.length,
  );
  expect(parts.map((part) => part.copied).join("")).toBe("‮");
  expect(parts.map((part) => part.breaks)).toEqual([false, false, true]);
});

const layOutAfter = (before: string, words: string[], width: number, beside: string[] = []) => {
  const store = new Store(() => {}, tokens(words));
  const layout = new Layout(
    store,
    (text) => text.length,
    (stretch) => stretch.shown,
    { before: () => before, beside: (token) => beside[token] ?? "" },
  );
  layout.reset(width);
  layout.extend(words.length);
  return layout;
};
const shownOf = (layout: Layout) => linesOf(layout).map((text, line) => layout.beforeOn(line) + text);

test("the tokens follow the text before them on its last line", () => {
  expect(shownOf(layOutAfter("It is", [" one", " two"], 80))).toEqual(["It is one two"]);
  expect(shownOf(layOutAfter("It was or is", [" one", " two"], 10))).toEqual(["It was or ", "is one two"]);
  expect(shownOf(layOutAfter("It is", [" one", " two"], 8))).toEqual(["It is", " one two"]);
});

test("the text before the tokens keeps its line breaks", () => {
  expect(shownOf(layOutAfter("Q: a\n\nA:\n", ["b", "↵", "c"], 80))).toEqual(["Q: a", "", "A:", "b↵", "c"]);
});

test("the text before the tokens is part of no token", () => {
  const layout = layOutAfter("It was or is", [" one", " two"], 10);
  expect(layout.lineOf(0)).toBe(1);
  expect(layout.tokenAt(0, 5)).toBe(0);
  expect(layout.tokenAt(1, 1)).toBe(0);
  expect(layout.centerOf(1)).toBe(2 + 4 + 2);
  expect([...layout.cellsOn(0)]).toEqual([]);
});

test("an answer that changes from its first token on still follows the text before it", () => {
  for (const before of ["It is", "It was or is", "It is\n", ""]) {
    const layout = layOutAfter(before, [" one", " two", " three"], 10);
    const lines = shownOf(layout);
    for (const first of [0, 1, 2, 3]) {
      layout.invalidate(first);
      layout.extend(3);
      expect(shownOf(layout)).toEqual(lines);
    }
  }
});

test("what stands beside a token takes up room on its line", () => {
  expect(linesOf(layOutAfter("", ["one", " two", " six"], 13))).toEqual(["one two six"]);
  expect(linesOf(layOutAfter("", ["one", " two", " six"], 13, ["9 %", "8 %", "7 %"]))).toEqual([
    "one",
    " two",
    " six",
  ]);
  expect(linesOf(layOutAfter("", ["one", " two", " six"], 30, ["9 %", "8 %", "7 %"]))).toEqual([
    "one two six",
  ]);
});

test("a wrapped line runs in the direction of its paragraph, whatever its own first letter is", () => {
  const { layout } = layOut(["שלום", " עולם", " ABC", " 45", "%", "↵", "one", " two", " שלום", " 12"], 8);
  expect(linesOf(layout)).toEqual(["שלום", " עולם", " ABC 45%", "↵", "one two", " שלום 12"]);
  const known = new Directions(layout);
  const directions = linesOf(layout).map((_, line) => known.of(line));
  // Those that are not wrapped begin a paragraph, and have their own.
  expect(directions).toEqual(["", "rtl", "rtl", "rtl", "", "ltr"]);
});

test("lines of a text without right-to-left letters have no direction of their own", () => {
  const { layout } = layOut(["one", " two", " three"], 6);
  const known = new Directions(layout);
  expect(linesOf(layout).map((_, line) => known.of(line))).toEqual(["", "", ""]);
});
