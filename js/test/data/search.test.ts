import { expect, test } from "vitest";
import { unpack } from "../../src/data/codec.ts";
import { countSurprises, mostSurprising, nextSurprise, Search, Searches } from "../../src/data/search.ts";
import { Store } from "../../src/data/store.ts";
import { tokens } from "../blocks.ts";

const store = (words: string[], p: number[] = []) =>
  new Store(() => {}, tokens(words, p.length ? { logprob: p.map(Math.log) } : {}));
const matchesOf = (search: Search) => {
  for (const _ of search.run());
  return search.matches;
};

test("a query is found across tokens, in any case", () => {
  expect(matchesOf(new Search(store(["The", " cap", "ital", " of", " CAP", "ITAL"]), "Capital"))).toEqual([
    [1, 2],
    [4, 5],
  ]);
});

test("matches do not overlap", () => {
  expect(matchesOf(new Search(store(["a", "a", "a", "a", "a"]), "aa"))).toEqual([
    [0, 1],
    [2, 3],
  ]);
});

test("a match across two steps is found once", () => {
  const many: string[] = Array.from({ length: 20_000 }, (_, at) => (at % 2 ? "b" : "a"));
  many[4095] = "xy";
  many[4096] = "zw";
  expect(matchesOf(new Search(store(many), "yz"))).toEqual([[4095, 4096]]);
  expect(matchesOf(new Search(store(many), "ab")).length).toBe(9998);
});

test("appended text is searched too", () => {
  const text = store(["one", " tw"]);
  const search = new Search(text, "two");
  expect(matchesOf(search)).toEqual([]);
  text.receiveTokens(unpack(tokens(["o", " two"], { first: 2 })));
  search.invalidate(2);
  expect(matchesOf(search)).toEqual([
    [1, 2],
    [3, 3],
  ]);
});

const at = (token: number, side = 0) => ({ side, token });

test("the nearest match is ahead or behind, and wraps around", () => {
  const search = new Searches([store(["a", "x", "b", "x"])], "x");
  for (const _ of search.run());
  expect(search.nearest(null, 1)).toEqual(at(1));
  expect(search.nearest(at(1), 1)).toEqual(at(3));
  expect(search.nearest(at(3), 1)).toEqual(at(1));
  expect(search.nearest(at(1), -1)).toEqual(at(3));
});

test("matches in several texts follow one text after the other, and are counted through", () => {
  const search = new Searches([store(["x", "a", "x"]), store(["b"]), store(["c", "x"])], "x");
  for (const _ of search.run());
  const walk = (by: 1 | -1) => {
    const walked = [search.nearest(null, by)];
    for (let step = 0; step < 3; step++) walked.push(search.nearest(walked.at(-1) ?? null, by));
    return walked;
  };
  expect(walk(1)).toEqual([at(0), at(2), at(1, 2), at(0)]);
  expect(walk(-1)).toEqual([at(1, 2), at(2), at(0), at(1, 2)]);
  expect(search.nearest(at(0, 1), 1)).toEqual(at(1, 2));
  expect(search.count()).toBe(3);
  expect([at(2), at(1, 2), at(0, 1)].map((ref) => search.indexOf(ref))).toEqual([1, 2, null]);
  expect([search.has(at(1, 2)), search.has(at(1))]).toEqual([true, false]);
});

test("an empty query has no matches", () => {
  expect(matchesOf(new Search(store(["a"]), ""))).toEqual([]);
});

const unsure = store(["a", "b", "c", "d"], [0.05, 0.9, 0.01, Number.NaN]);

test("surprises are the tokens below the threshold; stepping wraps around", () => {
  expect(countSurprises(unsure, 0.1)).toBe(2);
  expect(nextSurprise(unsure, 0.1, null, 1)).toBe(0);
  expect(nextSurprise(unsure, 0.1, 0, 1)).toBe(2);
  expect(nextSurprise(unsure, 0.1, 2, 1)).toBe(0);
  expect(nextSurprise(unsure, 0.1, null, -1)).toBe(2);
  expect(nextSurprise(unsure, 0.001, 0, 1)).toBeNull();
});

test("the list of surprises starts with the least probable and has the requested length", () => {
  expect(mostSurprising([unsure], 0.1, 10)).toEqual([at(2), at(0)]);
  const other = store(["e", "f"], [0.02, 0.5]);
  expect(mostSurprising([unsure, other], 0.1, 2)).toEqual([at(2), at(0, 1)]);
  const next = Array.from({ length: 500 }, (_, at) => ((at * 37) % 499) / 1000 + 0.001);
  const many = store(
    next.map((_, at) => `t${at}`),
    next,
  );
  const order = next.map((_, at) => at).sort((a, b) => (next[a] ?? 0) - (next[b] ?? 0));
  expect(mostSurprising([many], 0.4, 20).map(({ token }) => token)).toEqual(order.slice(0, 20));
});

test("a token equal to the threshold is not below it", () => {
  for (const threshold of [0.1, 0.3, 0.01, 0.7]) {
    expect(countSurprises(store(["a"], [threshold]), threshold)).toBe(0);
  }
});

test("letters that grow in lower case do not hide the others", () => {
  expect(matchesOf(new Search(store(["İSTANBUL", " in", " İstanbul"]), "stanbul"))).toEqual([
    [0, 0],
    [2, 2],
  ]);
});

test("a word is found although a token ends in a final sigma", () => {
  expect(
    matchesOf(
      new Search(store(["ΟΔΟ", "Σ", " οδος", " ΟΔΟΣ"]), "οδός".normalize("NFD").replace("\u0301", "")),
    ),
  ).toEqual([
    [0, 1],
    [2, 2],
    [3, 3],
  ]);
});

test("matches that share a token, or lie within one, are all found", () => {
  const search = new Search(store(["xyx", "yab", "c", "xyxy"]), "xy");
  expect(matchesOf(search)).toEqual([
    [0, 0],
    [0, 1],
    [3, 3],
    [3, 3],
  ]);
  expect([0, 1, 2, 3].map((token) => search.has(token))).toEqual([true, true, false, true]);
  expect([0, 1, 3].map((token) => search.indexOf(token))).toEqual([0, null, 2]);
  expect(search.next(0, 1)).toEqual([3, 3]);
  expect(search.next(3, -1)).toEqual([0, 1]);
  expect(search.next(3, 1)).toBeUndefined();
});

test("a key press does not scan half a million matches", () => {
  const search = new Search(store(Array.from({ length: 1_000_000 }, (_, at) => (at % 2 ? "b" : "a"))), "b");
  matchesOf(search);
  // This would take hours if each call scanned all matches.
  for (let token = 1; token < 1_000_000; token += 20) {
    if (search.next(token, -1)?.[0] !== (token > 1 ? token - 2 : undefined)) expect.fail(`before ${token}`);
    if (search.indexOf(token) !== (token - 1) / 2) expect.fail(`at ${token}`);
  }
  expect(search.next(999_997, 1)).toEqual([999_999, 999_999]);
}, 30_000);
