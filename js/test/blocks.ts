// Packs blocks as deluge_nb/widget/codec.py does; tests/widget/test_codec.py checks the same layout there.
import type { Column } from "../src/data/codec.ts";

export function pack(fields: object, columns: Record<string, Column>, shift = 0): DataView {
  const specs: Record<string, object> = {};
  let offset = 0;
  for (const [name, column] of Object.entries(columns)) {
    const type = column.constructor.name.replace("Array", "").toLowerCase();
    specs[name] = { type, offset, length: column.length };
    offset += Math.ceil(column.byteLength / 8) * 8;
  }
  let header = JSON.stringify({ ...fields, columns: specs });
  const bytes = () => new TextEncoder().encode(header);
  while ((4 + bytes().length) % 8) header += " ";
  const length = bytes().length;
  const block = new Uint8Array(shift + 4 + length + offset);
  new DataView(block.buffer).setUint32(shift, length, true);
  block.set(bytes(), shift + 4);
  for (const [name, column] of Object.entries(columns)) {
    const spec = specs[name] as { offset: number };
    const raw = new Uint8Array(column.buffer, column.byteOffset, column.byteLength);
    block.set(raw, shift + 4 + length + spec.offset);
  }
  return new DataView(block.buffer, shift);
}

const SCALE = { curve: "root", cap: 1, unit: "", steps: [], heats: [] };

/** The block of a completion's tokens. Texts that end in `↵` end their line. */
export function tokens(
  words: string[],
  more: { first?: number; epoch?: string; logprob?: number[] } = {},
): DataView {
  const first = more.first ?? 0;
  const distinct = [...new Set(words)];
  const base = first * 1000;
  const stretches: Record<number, [string, string, number][]> = {};
  distinct.forEach((word, at) => {
    if (word.endsWith("↵")) stretches[base + at] = [[word, word.replace("↵", "\n"), 1]];
  });
  return pack(
    {
      epoch: more.epoch ?? "e",
      first,
      count: first + words.length,
      chunk: 2,
      vocabSize: 100,
      scales: { probability: SCALE },
      labels: {},
      sources: distinct.map((word) => word.replace("↵", "\n")),
      stretches,
    },
    {
      places: Uint32Array.from(distinct, (_, at) => base + at),
      ids: Int32Array.from(distinct, () => -1),
      labelAt: Uint32Array.from(words, (word) => base + distinct.indexOf(word)),
      logprob: Float32Array.from(more.logprob ?? words.map(() => -0.5)),
      odd: new Uint32Array(0),
      oddText: new Uint32Array(0),
    },
  );
}

export function alternatives(first: number, lists: [textIndex: number, logprob: number][][]): DataView {
  return pack(
    { first, last: first + lists.length, labels: {}, sources: [], stretches: {} },
    {
      places: new Uint32Array(0),
      ids: new Int32Array(0),
      counts: Uint16Array.from(lists, (list) => list.length),
      labelAt: Uint16Array.from(lists.flat(), ([textIndex]) => textIndex),
      logprob: Float32Array.from(lists.flat(), ([, logprob]) => logprob),
    },
  );
}
