// The other side of deluge_nb/_pack.py: blocks of typed columns, read where they lie.

export type ColorBy = "probability" | "entropy" | "surprisal";
type Column = Float32Array | Uint32Array | Int32Array | Uint8Array;

interface Place {
  type: "float32" | "uint32" | "int32" | "uint8";
  offset: number;
  length: number;
}

const TYPES = { float32: Float32Array, uint32: Uint32Array, int32: Int32Array, uint8: Uint8Array };

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

/** What a legend shows: the custom property that is painted, its unit, and steps of text and value. */
export interface Scale {
  variable: string;
  unit: string;
  steps: [string, number][];
}

export interface Tokens {
  count: number;
  chunk: number;
  scales: Record<ColorBy, Scale>;
  shown: string[];
  copied: string[];
  labels: string[];
  /** Per fragment: the token it belongs to, its texts, whether it ends a line (1) or is a mark (2). */
  owner: Uint32Array;
  shownAt: Uint32Array;
  copiedAt: Uint32Array;
  flags: Uint8Array;
  /** Per token; NaN where unknown. Logarithms are natural, entropies in bits. */
  logprob: Float32Array;
  entropy: Float32Array;
  entropyMost: Float32Array;
  tail: Float32Array;
  rank: Int32Array;
  listed: Uint8Array;
  labelAt: Uint32Array;
  offsets: Uint32Array;
}

export const BREAKS = 1;
export const MARKED = 2;

/** The tokens of a completion. */
export function readTokens(bytes: DataView): Tokens {
  const { fields, columns } = unpack(bytes);
  return { ...fields, ...columns } as unknown as Tokens;
}

export interface Alternative {
  label: string;
  logprob: number;
  chosen: boolean;
}

/** The alternatives of every token, as far as they have come. */
export class Alternatives {
  private readonly blocks = new Map<number, { first: number; labelAt: Uint32Array; logprob: Float32Array }>();
  private whole = false;

  constructor(
    private readonly tokens: Tokens,
    eager: DataView | undefined,
    private readonly request: (chunk: number) => void,
  ) {
    if (eager?.byteLength) {
      this.whole = true;
      this.receive(0, eager);
    }
  }

  receive(chunk: number, bytes: DataView): void {
    const { fields, columns } = unpack(bytes);
    this.blocks.set(chunk, {
      first: fields["first"] as number,
      labelAt: columns["labelAt"] as Uint32Array,
      logprob: columns["logprob"] as Float32Array,
    });
  }

  /** What the model weighed at a token; undefined while it is on its way. */
  of(token: number): Alternative[] | undefined {
    const chunk = this.whole ? 0 : Math.floor(token / this.tokens.chunk);
    const block = this.blocks.get(chunk);
    if (!block) {
      this.request(chunk);
      return undefined;
    }
    const { offsets, labels, labelAt } = this.tokens;
    const base = offsets[block.first] ?? 0;
    const found: Alternative[] = [];
    for (let at = (offsets[token] ?? 0) - base; at < (offsets[token + 1] ?? 0) - base; at++) {
      const label = block.labelAt[at] ?? 0;
      found.push({
        label: labels[label] ?? "",
        logprob: block.logprob[at] ?? Number.NaN,
        chosen: label === labelAt[token],
      });
    }
    return found;
  }
}
