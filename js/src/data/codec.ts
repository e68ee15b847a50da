// Decodes the blocks that deluge_nb/widget/codec.py encodes: JSON fields followed by typed columns. Knows the format of
// a block, not the meaning of its fields.

export type Column = Float32Array | Uint32Array | Int32Array | Uint16Array | Uint8Array;

/** The position of a column in its block, and its type. */
interface ColumnSpec {
  type: "float32" | "uint32" | "int32" | "uint16" | "uint8";
  offset: number;
  length: number;
}

const ARRAY_TYPES = {
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

/** Decode a block. Columns share its memory; if the block does not start at a multiple of 8, it is copied first. */
export function unpack(bytes: DataView): Block {
  // Hosts may pass a view into a larger buffer, so the view's own offset counts.
  const isAligned = bytes.byteOffset % 8 === 0;
  const buffer = isAligned
    ? (bytes.buffer as ArrayBuffer)
    : (bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer);
  const start = isAligned ? bytes.byteOffset : 0;
  const length = new DataView(buffer, start, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, start + 4, length)));
  const columns: Record<string, Column> = {};
  for (const [name, spec] of Object.entries<ColumnSpec>(header.columns)) {
    columns[name] = new ARRAY_TYPES[spec.type](buffer, start + 4 + length + spec.offset, spec.length);
  }
  const { columns: _, ...fields } = header;
  return { fields, columns };
}
