import { expect, test } from "vitest";
import { Alternatives, readTokens, unpack } from "../src/columns.ts";

// As deluge_nb/_pack.py writes it; tests/test_pack.py holds that side to the same layout.
function pack(fields: object, columns: Record<string, Float32Array | Uint32Array | Uint8Array>, shift = 0) {
  const places: Record<string, object> = {};
  let offset = 0;
  for (const [name, column] of Object.entries(columns)) {
    const type = column.constructor.name.replace("Array", "").toLowerCase();
    places[name] = { type, offset, length: column.length };
    offset += Math.ceil(column.byteLength / 8) * 8;
  }
  let header = JSON.stringify({ ...fields, columns: places });
  const bytes = () => new TextEncoder().encode(header);
  while ((4 + bytes().length) % 8) header += " ";
  const length = bytes().length;
  const block = new Uint8Array(shift + 4 + length + offset);
  new DataView(block.buffer).setUint32(shift, length, true);
  block.set(bytes(), shift + 4);
  for (const [name, column] of Object.entries(columns)) {
    const place = places[name] as { offset: number };
    const raw = new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
    block.set(raw, shift + 4 + length + place.offset);
  }
  return new DataView(block.buffer, shift);
}

test.each([0, 8, 3])("columns are read wherever the block lies in its buffer (%i bytes in)", (shift) => {
  const block = pack(
    { title: "日本 🦆" },
    { a: Float32Array.of(1.5, Number.NaN), b: Uint8Array.of(7) },
    shift,
  );
  const { fields, columns } = unpack(block);
  expect(fields).toEqual({ title: "日本 🦆" });
  expect([...(columns["a"] ?? [])]).toEqual([1.5, Number.NaN]);
  expect([...(columns["b"] ?? [])]).toEqual([7]);
});

const tokens = readTokens(
  pack(
    { count: 3, chunk: 2, labels: ["x", "y"] },
    { offsets: Uint32Array.of(0, 2, 2, 3), labelAt: Uint32Array.of(1, 0, 0) },
  ),
);
const part = (first: number, labels: number[]) =>
  pack(
    { first },
    { labelAt: Uint32Array.from(labels), logprob: Float32Array.from(labels, (label) => -label - 1) },
  );

test("alternatives that came with the tokens are there at once", () => {
  const all = new Alternatives(tokens, part(0, [1, 0, 1]), () => expect.unreachable());
  expect(all.of(0)).toEqual([
    { label: "y", logprob: -2, chosen: true },
    { label: "x", logprob: -1, chosen: false },
  ]);
  expect(all.of(1)).toEqual([]);
  expect(all.of(2)).toEqual([{ label: "y", logprob: -2, chosen: false }]);
});

test("alternatives that did not come are asked for by their chunk", () => {
  const asked: number[] = [];
  const some = new Alternatives(tokens, undefined, (chunk) => asked.push(chunk));
  expect(some.of(2)).toBeUndefined();
  expect(asked).toEqual([1]);
  some.receive(1, part(2, [0]));
  expect(some.of(2)).toEqual([{ label: "x", logprob: -1, chosen: true }]);
});
