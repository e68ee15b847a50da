// The other side of deluge_nb/widget/codec.py: blocks of typed columns, read where they lie.

export type Column = Float32Array | Uint32Array | Int32Array | Uint16Array | Uint8Array;

interface Place {
  type: "float32" | "uint32" | "int32" | "uint16" | "uint8";
  offset: number;
  length: number;
}

const TYPES = {
  float32: Float32Array,
  uint32: Uint32Array,
  int32: Int32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
};

export interface Block {
  fields: Record<string, unknown>;
  columns: Record<string, Column>;
}

/** Read a block. Columns are views into its bytes, or copies where these do not lie at a multiple of 8. */
export function unpack(bytes: DataView): Block {
  // A view's own offset counts: hosts hand out windows into larger buffers.
  const aligned = bytes.byteOffset % 8 === 0;
  const buffer = aligned
    ? (bytes.buffer as ArrayBuffer)
    : (bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);
  const start = aligned ? bytes.byteOffset : 0;
  const length = new DataView(buffer, start, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, start + 4, length)));
  const columns: Record<string, Column> = {};
  for (const [name, place] of Object.entries<Place>(header.columns)) {
    columns[name] = new TYPES[place.type](buffer, start + 4 + length + place.offset, place.length);
  }
  const { columns: _, ...fields } = header;
  return { fields, columns };
}
