import { expect, test } from "vitest";
import { Chunks } from "../../src/data/chunks.ts";
import { unpack } from "../../src/data/codec.ts";
import { Store } from "../../src/data/store.ts";
import { valueFor } from "../../src/data/token_values.ts";
import { alternatives, pack, tokens } from "../blocks.ts";

const never = () => expect.unreachable();

test.each([0, 8, 3])("columns are read at any offset of the block in its buffer (%i bytes)", (shift) => {
  const block = pack(
    { title: "日本 🦆" },
    { a: Float32Array.of(1.5, Number.NaN), b: Uint8Array.of(7), c: Uint16Array.of(65_535) },
    shift,
  );
  const { fields, columns } = unpack(block);
  expect(fields).toEqual({ title: "日本 🦆" });
  expect([...(columns["a"] ?? [])]).toEqual([1.5, Number.NaN]);
  expect([...(columns["b"] ?? [])]).toEqual([7]);
  expect([...(columns["c"] ?? [])]).toEqual([65_535]);
});

test("alternatives that arrived with the tokens are available at once", () => {
  const store = new Store(never, tokens(["x", "y", "x"]));
  store.receiveAlternatives(
    unpack(
      alternatives(0, [
        [
          [1, -2],
          [0, -1],
        ],
        [],
        [[1, -2]],
      ]),
    ),
  );
  expect(store.alternatives(0)).toEqual([
    { label: "y", textIndex: 1, logprob: -2, chosen: false },
    { label: "x", textIndex: 0, logprob: -1, chosen: true },
  ]);
  expect(store.alternatives(1)).toEqual([]);
  expect(store.alternatives(2)?.map((alternative) => alternative.label)).toEqual(["y"]);
});

test("missing alternatives are requested by chunk", () => {
  const requests: object[] = [];
  const store = new Store((request) => requests.push(request), tokens(["x", "y", "x"]));
  expect(store.alternatives(2)).toBeUndefined();
  expect(requests).toEqual([{ chunk: 1 }]);
  store.receiveAlternatives(unpack(alternatives(2, [[[0, -1]]])));
  expect(store.alternatives(2)?.map((alternative) => alternative.logprob)).toEqual([-1]);
});

test("deferred alternatives are replaced by later ones", () => {
  const store = new Store(never, tokens(["x", "y", "x"]));
  store.deferAlternatives(alternatives(0, [[[1, -2]], [[1, -3]], [[1, -4]]]));
  store.receiveAlternatives(unpack(alternatives(1, [[[0, -1]]])));
  expect([0, 1, 2].map((token) => store.alternatives(token)?.[0]?.logprob)).toEqual([-2, -1, -4]);
  store.deferAlternatives(alternatives(0, [[[0, -5]]]));
  expect(store.receiveTokens(unpack(tokens(["z"], { first: 3 })))).toBe(3);
  expect([0, 1].map((token) => store.alternatives(token)?.[0]?.logprob)).toEqual([-5, -1]);
});

test("appended rows follow the existing ones", () => {
  const store = new Store(never, tokens(["a", "b"]));
  expect(store.receiveTokens(unpack(tokens(["c"], { first: 2, logprob: [-3] })))).toBe(2);
  expect([0, 1, 2].map((token) => store.source(token))).toEqual(["a", "b", "c"]);
  expect(store.logprob[2]).toBe(-3);
});

test("the block that a store was made of stays as it is when further rows come", () => {
  const block = tokens(["a", "b"]);
  const store = new Store(never, block);
  store.receiveTokens(unpack(tokens(["c"], { first: 1, logprob: [-3] })));
  expect([0, 1].map((token) => store.source(token))).toEqual(["a", "c"]);
  const other = new Store(never, block);
  expect([0, 1].map((token) => other.source(token))).toEqual(["a", "b"]);
  expect([...other.logprob]).toEqual([-0.5, -0.5]);
});

test("rows after a gap are rejected, and the whole table is requested", () => {
  const requests: object[] = [];
  const store = new Store((request) => requests.push(request), tokens(["a", "b"]));
  expect(store.receiveTokens(unpack(tokens(["c"], { first: 5 })))).toBeNull();
  expect(store.count).toBe(2);
  expect(requests).toEqual([{ whole: true }]);
});

test("rows of another completion are rejected", () => {
  const store = new Store(never, tokens(["a", "b"]));
  expect(store.receiveTokens(unpack(tokens(["c"], { first: 2, epoch: "other" })))).toBeNull();
  expect(store.count).toBe(2);
});

test("measures of appended rows are added to the existing ones", () => {
  const requests: object[] = [];
  const store = new Store((request) => requests.push(request), tokens(["a", "b"]));
  const measured = (first: number, entropy: number[]) =>
    unpack(
      pack(
        { first },
        {
          entropy: Float32Array.from(entropy),
          entropyMost: Float32Array.from(entropy),
          margin: Float32Array.from(entropy),
          tail: Float32Array.from(entropy),
          rank: Uint32Array.from(entropy),
          listed: Uint8Array.from(entropy),
        },
      ),
    );
  store.receiveMeasures(measured(0, [1, 2]));
  expect(store.requestMeasures()).toBe(true);
  store.receiveTokens(unpack(tokens(["c"], { first: 2 })));
  expect(store.requestMeasures()).toBe(false);
  expect(requests).toEqual([{ measures: true }]);
  store.receiveMeasures(measured(2, [3]));
  expect([0, 1, 2].map((token) => store.measures?.entropy[token])).toEqual([1, 2, 3]);
  expect([0, 1, 2].map((token) => store.measures?.rank[token])).toEqual([1, 2, 3]);
});

test("rows without measures are unknown, whatever the spare capacity", () => {
  const store = new Store(() => {}, tokens(["a", "b", "c", "d"]));
  const rows = (first: number, count: number) => {
    const column = Float32Array.from({ length: count }, () => 1);
    const rank = Uint32Array.from(column);
    const listed = Uint8Array.from(column);
    return unpack(
      pack({ first }, { entropy: column, entropyMost: column, margin: column, tail: column, rank, listed }),
    );
  };
  store.receiveMeasures(rows(0, 2));
  store.receiveMeasures(rows(2, 1));
  expect([2, 3].map((token) => store.isMeasured(token))).toEqual([true, false]);
  expect([2, 3].map((token) => valueFor(store, "entropy", token))).toEqual([1, Number.NaN]);
  expect(store.measures?.rank.length).toBe(3);
});

test("of alternatives that arrive in overlapping chunks in any order, the latest are found", () => {
  const store = new Store(() => {}, tokens(Array.from({ length: 40 }, () => "a")));
  const truth: (number | undefined)[] = Array.from({ length: 40 }, () => undefined);
  // Chunks of all lengths that overlap or contain each other.
  for (let piece = 1; piece <= 200; piece++) {
    const first = (piece * 17) % 39;
    const last = Math.min(40, first + 1 + ((piece * 7) % 11));
    const lists = Array.from({ length: last - first }, (_, at): [number, number][] => [
      [0, -piece - at / 64],
    ]);
    store.receiveAlternatives(unpack(alternatives(first, lists)));
    for (let token = first; token < last; token++) truth[token] = -piece - (token - first) / 64;
    expect(truth.map((_, token) => store.alternatives(token)?.[0]?.logprob)).toEqual(truth);
  }
});

test("a chunk with all tokens replaces the smaller chunks", () => {
  const chunks = new Chunks();
  const chunk = (first: number, last: number) => ({
    first,
    last,
    firstRow: first,
    offsets: new Uint32Array(last - first + 1),
    labelAt: new Uint16Array(0),
    logprob: new Float32Array(0),
  });
  for (let first = 0; first < 96_000; first += 32) chunks.add(chunk(first, first + 32));
  expect(chunks.length).toBe(3000);
  expect(chunks.at(50_000)?.first).toBe(49_984);
  chunks.add(chunk(0, 96_000));
  expect(chunks.length).toBe(1);
  expect([0, 95_999, 96_000].map((token) => chunks.at(token)?.firstRow)).toEqual([0, 0, undefined]);
});
