import { expect, test } from "vitest";
import { Alignment } from "../../src/compare/alignment.ts";
import { counterpart, describeDifference } from "../../src/compare/card_content.ts";
import { RowLayout } from "../../src/compare/row_layout.ts";
import type { Column } from "../../src/data/codec.ts";
import { Layout } from "../../src/text/layout.ts";
import { pack, tokens } from "../blocks.ts";

type Span = [a: string[], b: string[], difference?: number];

/** Two responses by their spans, as deluge_nb/widget/compare.py packs them; a span of the same text is common. */
function compared(spans: Span[]): Alignment {
  const sides = [spans.flatMap(([a]) => a), spans.flatMap(([, b]) => b)];
  const data: Record<string, Column> = {};
  sides.forEach((words, side) => {
    const block = tokens(words);
    data[`data${side}`] = new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
  });
  const starts = (side: 0 | 1) => {
    const found = [0];
    for (const span of spans) found.push((found.at(-1) ?? 0) + span[side].length);
    return Uint32Array.from(found);
  };
  const common = Uint8Array.from(spans, ([a, b]) => Number(a.join("") === b.join("")));
  const alignment = pack(
    { cap: 2, steps: [], partings: [null] },
    {
      common,
      units0: starts(0),
      units1: starts(1),
      a0: starts(0).slice(0, -1),
      b0: starts(1).slice(0, -1),
      common0: common,
      difference0: Float32Array.from(spans, ([, , difference], at) =>
        common[at] ? (difference ?? 0) : Number.NaN,
      ),
    },
  );
  return new Alignment(2, pack({}, data), alignment, () => expect.unreachable());
}

/** The rows, laid out at so many letters to a line; "" where a response has nothing on one. */
function rowsOf(alignment: Alignment, width: number, interleaved = false): [RowLayout, string[][]] {
  const layouts = alignment.stores.map(
    (store) =>
      new Layout(
        store,
        (text) => text.length,
        (stretch) => stretch.shown,
      ),
  );
  const rows = new RowLayout(alignment, layouts);
  rows.reset(width, interleaved);
  while (!rows.done) rows.step();
  const drawn = Array.from({ length: rows.rowCount }, (_, row) =>
    alignment.stores.map((_, side) => [...rows.cellsOn(side, row)].map(({ cell }) => cell.shown).join("")),
  );
  return [rows, drawn];
}

const CITIES: Span[] = [
  [["It"], ["It"], 0.5],
  [[" un", "believ", "ably"], [" unbel", "ievably"], -1.5],
  [[], [" very", " much"]],
  [[" is"], [" is"]],
  [[" Paris"], [" Ly", "on"]],
  [["."], ["."], 0.01],
];

test("a token knows its span, what is common, and the difference from either side", () => {
  const found = compared(CITIES);
  expect([0, 1, 2, 3, 4, 5].map((token) => found.spanOf({ side: 0, token }))).toEqual([0, 1, 1, 1, 3, 4]);
  expect([3, 4, 5].map((token) => found.spanOf({ side: 1, token }))).toEqual([2, 2, 3]);
  expect(found.isCommon({ side: 1, token: 3 })).toBe(false);
  expect(found.difference({ side: 0, token: 2 })).toBe(-1.5);
  expect(found.difference({ side: 1, token: 1 })).toBe(1.5);
  expect(found.difference({ side: 1, token: 4 })).toBeNaN();
  expect(found.rangesOf(1)).toEqual({ other: 1, a: [1, 4], b: [1, 3] });
  expect(found.firstToken(2)).toEqual({ side: 1, token: 3 });
});

test("differences are stepped through in both directions, what only one has among them", () => {
  const found = compared(CITIES);
  expect(found.nextDifference(0, null, 1, 1)).toBe(1);
  expect(found.nextDifference(0, 1, 1, 1)).toBe(2);
  expect(found.nextDifference(0, 2, 1, 1)).toBe(4);
  expect(found.nextDifference(0, 4, 1, 1)).toBeNull();
  expect(found.nextDifference(0, null, -1, 1)).toBe(4);
  expect(found.nextDifference(0, 1, -1, 0.4)).toBe(0);
  expect(found.countDifferences(0, 1)).toBe(3);
  expect(found.commonShare(1)).toBeCloseTo(11 / 16, 12);
});

test("a token faces the one that is as far along in the same text", () => {
  const found = compared(CITIES);
  expect(counterpart(found, { side: 0, token: 1 }, 1)).toEqual({ side: 1, token: 1 });
  expect(counterpart(found, { side: 0, token: 3 }, 1)).toEqual({ side: 1, token: 2 });
  expect(counterpart(found, { side: 1, token: 3 }, 0)).toBeNull();
  expect(counterpart(found, { side: 0, token: 5 }, 1)).toEqual({ side: 1, token: 6 });
});

test("differences are described in words", () => {
  expect(describeDifference(Math.log(2), "B")).toBe("2.0 times as probable as B does");
  expect(describeDifference(-Math.log(30), "A")).toBe("30.0 times less probable than A does");
  expect(describeDifference(0, "A")).toBe("as probable as A does");
});

test("all responses break their lines at the same text", () => {
  const [, drawn] = rowsOf(compared(CITIES), 24);
  expect(drawn).toEqual([
    ["It unbelievably", "It unbelievably"],
    [" is Paris.", " very much is Lyon."],
  ]);
});

test.each([4, 7, 11, 16, 30])(
  "what is common begins on the same row everywhere (%i letters wide)",
  (width) => {
    const spans: Span[] = Array.from({ length: 60 }, (_, at): Span => {
      if (at % 11 === 5) return [[" only", " here"], []];
      if (at % 7 === 3) return [[" left"], [" something", " quite", " else\u21b5"]];
      if (at % 13 === 8) return [["\u21b5"], ["\u21b5"]];
      return at % 5
        ? [[` w${at}`], [` w${at}`]]
        : [
            [" con", "cert", `o${at}`],
            [" concert", `o${at}`],
          ];
    });
    const alignment = compared(spans);
    const [rows, drawn] = rowsOf(alignment, width);
    let compareds = 0;
    spans.forEach(([a, b], unit) => {
      const [first, other] = alignment.units.map((starts) => starts[unit] ?? 0);
      if (a.join("") !== b.join("") || first === undefined || other === undefined) return;
      // A word that is wider than a line is cut by each side as its own tokens allow.
      if (a.join("").length > width) return;
      expect(rows.rowOf({ side: 0, token: first })).toBe(rows.rowOf({ side: 1, token: other }));
      compareds++;
    });
    expect(compareds).toBeGreaterThan(25);
    expect(drawn.map(([a]) => a).join("")).toBe(spans.flatMap(([a]) => a).join(""));
    expect(drawn.map(([, b]) => b).join("")).toBe(spans.flatMap(([, b]) => b).join(""));
    for (const [a = "", b = ""] of drawn) expect(Math.max(a.length, b.length)).toBeLessThanOrEqual(width);
    for (let token = 0; token < alignment.count(1); token++) {
      const cells = [...rows.cellsOn(1, rows.rowOf({ side: 1, token }))];
      expect(cells.some((one) => one.token === token && one.index === 0)).toBe(true);
    }
  },
);

test("what only one has goes on by itself, and the others wait", () => {
  const more = Array.from({ length: 20 }, () => " more");
  const [, drawn] = rowsOf(
    compared([
      [["One"], ["One"]],
      [more, []],
      [[" end"], [" end"]],
    ]),
    20,
  );
  expect(drawn).toEqual([
    ["One more more more", "One"],
    [" more more more more", ""],
    [" more more more more", ""],
    [" more more more more", ""],
    [" more more more more", ""],
    [" more end", " end"],
  ]);
});

test("a row that not all have is fewer lines where they are interleaved", () => {
  const more = Array.from({ length: 20 }, () => " more");
  const [rows] = rowsOf(
    compared([
      [["One"], ["One"]],
      [more, []],
      [[" end"], [" end"]],
    ]),
    20,
    true,
  );
  expect([0, 1, 2, 5, 6].map((row) => rows.linesBefore(row))).toEqual([0, 2, 3, 6, 8]);
});

test("the nearest token of a row is found by its distance", () => {
  const [rows] = rowsOf(compared(CITIES), 24);
  expect(rows.tokenAt(1, 1, 12)).toBe(5);
  expect(rows.tokenAt(0, 1, 500)).toBe(6);
  expect(rows.centerOf({ side: 0, token: 5 })).toBe(6);
});

test("very long differences are laid out a little at a time", () => {
  const words = (name: string) => Array.from({ length: 9000 }, (_, at) => ` ${name}${at}`);
  const alignment = compared([[words("a"), words("b")]]);
  const [rows] = rowsOf(alignment, 40);
  rows.reset(40, false);
  let steps = 0;
  let before = 0;
  while (!rows.done) {
    rows.step();
    steps++;
    expect(rows.rowCount).toBeGreaterThan(before);
    before = rows.rowCount;
  }
  expect(steps).toBeGreaterThan(3);
});
