import { expect, test } from "vitest";
import { Alignment } from "../../src/compare/alignment.ts";
import { counterpart, describeDifference } from "../../src/compare/card_content.ts";
import { RowLayout } from "../../src/compare/row_layout.ts";
import type { Column } from "../../src/data/codec.ts";
import { Layout } from "../../src/text/layout.ts";
import { pack, tokens } from "../blocks.ts";

type Span = [a: string[], b: string[], difference?: number];

/** The alignment of two responses, given by their spans, as Python packs it. Spans with equal texts are common. */
function align(spans: Span[]): Alignment {
  const sides = [spans.flatMap(([a]) => a), spans.flatMap(([, b]) => b)];
  const data: Record<string, Column> = {};
  sides.forEach((words, side) => {
    const block = tokens(words);
    data[`data${side}`] = new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
  });
  const starts = (side: 0 | 1) => {
    const firsts = [0];
    for (const span of spans) firsts.push((firsts.at(-1) ?? 0) + span[side].length);
    return Uint32Array.from(firsts);
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

/** The layout for lines of `width` letters, and the text of each response on each row. */
function rowsOf(alignment: Alignment, width: number, interleaved = false): [RowLayout, string[][]] {
  const measure = (text: string) => text.length;
  const layouts = alignment.stores.map((store) => new Layout(store, measure, (stretch) => stretch.shown));
  const rows = new RowLayout(alignment, layouts, measure);
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

test("spans, common text and differences are looked up from both sides", () => {
  const alignment = align(CITIES);
  expect([0, 1, 2, 3, 4, 5].map((token) => alignment.spanOf({ side: 0, token }))).toEqual([0, 1, 1, 1, 3, 4]);
  expect([3, 4, 5].map((token) => alignment.spanOf({ side: 1, token }))).toEqual([2, 2, 3]);
  expect(alignment.isCommon({ side: 1, token: 3 })).toBe(false);
  expect(alignment.difference({ side: 0, token: 2 })).toBe(-1.5);
  expect(alignment.difference({ side: 1, token: 1 })).toBe(1.5);
  expect(alignment.difference({ side: 1, token: 4 })).toBeNaN();
  expect(alignment.rangesOf(1)).toEqual({ other: 1, a: [1, 4], b: [1, 3] });
  expect(alignment.firstToken(2)).toEqual({ side: 1, token: 3 });
});

test("differences are found in both directions, including text that only one response has", () => {
  const alignment = align(CITIES);
  expect(alignment.nextDifference(0, null, 1, 1)).toBe(1);
  expect(alignment.nextDifference(0, 1, 1, 1)).toBe(2);
  expect(alignment.nextDifference(0, 2, 1, 1)).toBe(4);
  expect(alignment.nextDifference(0, 4, 1, 1)).toBeNull();
  expect(alignment.nextDifference(0, null, -1, 1)).toBe(4);
  expect(alignment.nextDifference(0, 1, -1, 0.4)).toBe(0);
  expect(alignment.countDifferences(0, 1)).toBe(3);
  expect(alignment.commonShare(1)).toBeCloseTo(11 / 16, 12);
});

test("the counterpart of a token is equally far along in the same text", () => {
  const alignment = align(CITIES);
  expect(counterpart(alignment, { side: 0, token: 1 }, 1)).toEqual({ side: 1, token: 1 });
  expect(counterpart(alignment, { side: 0, token: 3 }, 1)).toEqual({ side: 1, token: 2 });
  expect(counterpart(alignment, { side: 1, token: 3 }, 0)).toBeNull();
  expect(counterpart(alignment, { side: 0, token: 5 }, 1)).toEqual({ side: 1, token: 6 });
});

test.each([
  [0, "about as probable in A as in B"],
  [0.03, "about as probable in A as in B"],
  [Math.log(1.099), "about as probable in A as in B"],
  [Math.log(1.11), "1.1 times as probable in A as in B"],
  [Math.log(2), "2.0 times as probable in A as in B"],
  [-Math.log(9.94), "9.9 times less probable in A than in B"],
  [Math.log(9.97), "10 times as probable in A as in B"],
  [-Math.log(30), "30 times less probable in A than in B"],
  [Math.log(1234), "1200 times as probable in A as in B"],
  [Math.log(123_456), "1.2e5 times as probable in A as in B"],
  [Number.NaN, "unknown difference"],
])("a difference of %f nats is described in words", (nats, words) => {
  expect(describeDifference(nats, "A", "B")).toBe(words);
});

test("all responses break their lines at the same text", () => {
  const [, drawn] = rowsOf(align(CITIES), 24);
  expect(drawn).toEqual([
    ["It unbelievably", "It unbelievably"],
    [" is Paris.", " very much is Lyon."],
  ]);
});

test.each([4, 7, 11, 16, 30])(
  "common text begins on the same row in all responses (%i letters wide)",
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
    const alignment = align(spans);
    const [rows, drawn] = rowsOf(alignment, width);
    let comparedUnits = 0;
    spans.forEach(([a, b], unit) => {
      const [first, other] = alignment.units.map((starts) => starts[unit] ?? 0);
      if (a.join("") !== b.join("") || first === undefined || other === undefined) return;
      // Each response splits words that are wider than a line between its own tokens.
      if (a.join("").length > width) return;
      expect(rows.rowOf({ side: 0, token: first })).toBe(rows.rowOf({ side: 1, token: other }));
      comparedUnits++;
    });
    expect(comparedUnits).toBeGreaterThan(25);
    expect(drawn.map(([a]) => a).join("")).toBe(spans.flatMap(([a]) => a).join(""));
    expect(drawn.map(([, b]) => b).join("")).toBe(spans.flatMap(([, b]) => b).join(""));
    for (const [a = "", b = ""] of drawn) expect(Math.max(a.length, b.length)).toBeLessThanOrEqual(width);
    for (let token = 0; token < alignment.count(1); token++) {
      const cells = [...rows.cellsOn(1, rows.rowOf({ side: 1, token }))];
      expect(cells.some((item) => item.token === token && item.index === 0)).toBe(true);
    }
  },
);

test("text that only one response has takes rows of its own", () => {
  const more = Array.from({ length: 20 }, () => " more");
  const [, drawn] = rowsOf(
    align([
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

test("an interleaved row has a line only for each response with text", () => {
  const more = Array.from({ length: 20 }, () => " more");
  const [rows] = rowsOf(
    align([
      [["One"], ["One"]],
      [more, []],
      [[" end"], [" end"]],
    ]),
    20,
    true,
  );
  expect([0, 1, 2, 5, 6].map((row) => rows.linesBefore(row))).toEqual([0, 2, 3, 6, 8]);
});

test("tokens of a row are found by their position", () => {
  const [rows] = rowsOf(align(CITIES), 24);
  // The space in front of the row hangs in the margin.
  expect(rows.tokenAt(1, 1, 11)).toBe(5);
  expect(rows.tokenAt(0, 1, 500)).toBe(6);
  expect(rows.centerOf({ side: 0, token: 5 })).toBe(5);
});

test("very long differences are laid out in small steps", () => {
  const words = (name: string) => Array.from({ length: 9000 }, (_, at) => ` ${name}${at}`);
  const alignment = align([[words("a"), words("b")]]);
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

test("a range has the same text opposite if it begins and ends where all cut the text", () => {
  const alignment = align(CITIES);
  expect(alignment.opposite(0, [1, 4], 1)).toEqual([1, 3]);
  expect(alignment.opposite(1, [0, 3], 0)).toEqual([0, 4]);
  expect(alignment.opposite(0, [1, 3], 1)).toBeNull();
  // Nothing stands opposite.
  expect(alignment.opposite(1, [3, 5], 0)).toBeNull();
});
