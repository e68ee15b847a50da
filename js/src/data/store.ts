// Stores one completion as far as it has arrived: distinct texts, one row per token, and the alternatives with their
// measures. Requests what is missing. deluge_nb/widget/packer.py packs the blocks that it receives.

import { Chunks } from "./chunks.ts";
import { type Block, type Column, unpack } from "./codec.ts";
import { ensureCapacity } from "./columns.ts";
import type { ColorBy, Scale } from "./scale.ts";

/** A part of a token within one line, as in deluge_nb/text/glyphs.py. */
export interface Fragment {
  /** The text that is drawn, and the text that it stands for. */
  shown: string;
  copied: string;
  /** True if the line ends after it. */
  breaks: boolean;
  /** True if it is a visible mark for something without a shape, such as white space. */
  marked: boolean;
}

/** One distinct text; many tokens share it. */
export interface TokenText {
  /** The token in lists, its true text, and its id in the model's vocabulary or -1. */
  label: string;
  source: string;
  id: number;
  fragments: Fragment[];
}

export interface Measures {
  /** Bounds in bits. */
  entropy: Float32Array;
  entropyMost: Float32Array;
  /** Probabilities. */
  margin: Float32Array;
  tail: Float32Array;
  rank: Uint32Array;
  listed: Uint8Array;
}

export interface Alternative {
  label: string;
  textIndex: number;
  logprob: number;
  chosen: boolean;
}

/** A token of one of several texts, which are numbered by their side. */
export interface TokenRef {
  side: number;
  token: number;
}

/** A message that asks Python for missing data. */
export type DataRequest = { chunk: number } | { measures: true } | { whole: true };

/** Texts that arrived in one block, with the field names of the block. */
interface TextBatch {
  sources: string[];
  ids: Column;
  /** By text index, only where label or fragments differ from the source. */
  labels: Record<number, string>;
  stretches: Record<number, [shown: string, copied: string, flags: number][]>;
}

const BREAKS = 1;
const MARKED = 2;
const MEASURE_NAMES = ["entropy", "entropyMost", "margin", "tail", "rank", "listed"] as const;
const EMPTY_TEXT: TokenText = { label: "", source: "", id: -1, fragments: [] };

function mapMeasures(columnFor: (name: (typeof MEASURE_NAMES)[number]) => Column): Measures {
  return Object.fromEntries(MEASURE_NAMES.map((name) => [name, columnFor(name)])) as unknown as Measures;
}

export class Store {
  count = 0;
  /** Identifies the completion: rows with another epoch belong to another one. */
  epoch = "";
  /** The number of tokens whose alternatives arrive together. */
  chunkSize = 4096;
  vocabSize: number | null = null;
  scales = {} as Record<ColorBy, Scale>;
  readonly #texts: (TokenText | undefined)[] = [];
  readonly #batches: TextBatch[] = [];
  /** For each text: the number of its batch, counted from 1 (0 means not arrived), and its row in the batch. */
  #batchOf = new Uint32Array(0);
  #rowOf = new Uint32Array(0);
  #textCount = 0;
  /** For each token: the text that names it, the text that is drawn, and the log-probability in nats. */
  labelAt: Column = new Uint32Array(0);
  textAt: Column = this.labelAt;
  logprob: Float32Array = new Float32Array(0);
  /** True while these are the columns of the first block itself: the trait has them too, so they must not change. */
  #isShared = false;
  /** The measures of the first `measuredCount` tokens; null until some have arrived. */
  measures: Measures | null = null;
  /** The same columns with spare capacity. */
  #measureBuffers: Measures | null = null;
  #measuredCount = 0;
  readonly #chunks = new Chunks();
  /** Alternatives that have arrived but are not decoded yet. */
  #deferred: DataView | null = null;

  constructor(
    private readonly request: (content: DataRequest) => void,
    data: DataView,
    /** Why requested data do not come; empty while they may. */
    readonly silence = () => "",
  ) {
    const block = unpack(data);
    this.epoch = block.fields["epoch"] as string;
    this.receiveTokens(block);
  }

  /** Add rows. Returns the first new or changed token, or null if the rows do not fit those that are here. */
  receiveTokens({ fields, columns }: Block): number | null {
    this.#readDeferred();
    const first = fields["first"] as number;
    if (fields["epoch"] !== this.epoch) return null;
    if (first > this.count) {
      // The rows in between were lost on the way.
      this.request({ whole: true });
      return null;
    }
    const oldCount = this.count;
    this.count = fields["count"] as number;
    this.chunkSize = fields["chunk"] as number;
    this.vocabSize = fields["vocabSize"] as number | null;
    this.scales = fields["scales"] as Record<ColorBy, Scale>;
    this.#addTexts(fields, columns);
    const labels = columns["labelAt"] as Column;
    const logprobs = columns["logprob"] as Float32Array;
    const odd = columns["odd"] as Uint32Array;
    const texts = odd.length ? new Uint32Array(labels) : labels;
    odd.forEach((token, row) => {
      texts[token - first] = columns["oddText"]?.[row] ?? 0;
    });
    if (!oldCount) {
      // A copy of a million tokens would take as long as their first paint.
      this.labelAt = labels;
      this.textAt = texts;
      this.logprob = logprobs;
      this.#isShared = true;
      return 0;
    }
    const isShared = this.#isShared;
    const grow = (column: Column) => ensureCapacity(isShared ? new Uint32Array(column) : column, this.count);
    this.labelAt = grow(this.labelAt);
    this.textAt = grow(this.textAt);
    this.logprob = ensureCapacity(isShared ? this.logprob.slice() : this.logprob, this.count);
    this.#isShared = false;
    let changed = Math.min(oldCount, this.count);
    for (let token = first; token < changed; token++) {
      if (this.textAt[token] !== texts[token - first]) changed = token;
    }
    this.labelAt.set(labels, first);
    this.textAt.set(texts, first);
    this.logprob.set(logprobs, first);
    return changed;
  }

  /** Add measures of consecutive tokens. */
  receiveMeasures({ fields, columns }: Block): void {
    const first = fields["first"] as number;
    const rows = columns as unknown as Measures;
    if (first > this.#measuredCount) return;
    const measureBuffers = this.#measureBuffers;
    const end = first + rows.entropy.length;
    if (!measureBuffers || first === 0) this.#measureBuffers = rows;
    else {
      const append = <T extends Column>(column: T, more: T): T => {
        const longer = ensureCapacity(column, end);
        longer.set(more as never, first);
        return longer;
      };
      this.#measureBuffers = mapMeasures((name) => append(measureBuffers[name], rows[name]));
    }
    const buffers = this.#measureBuffers as Measures;
    this.measures = mapMeasures((name) => buffers[name].subarray(0, end));
    this.#measuredCount = end;
  }

  /** True if the measures of a token have arrived. */
  isMeasured(token: number): boolean {
    return token < this.#measuredCount;
  }

  /** Keep a block of alternatives, and decode it only when it is needed: the first paint does not need it. */
  deferAlternatives(data: DataView): void {
    this.#readDeferred();
    this.#deferred = data;
  }

  #readDeferred(): void {
    const deferred = this.#deferred;
    this.#deferred = null;
    if (deferred) this.receiveAlternatives(unpack(deferred));
  }

  /** Add the alternatives of consecutive tokens. */
  receiveAlternatives({ fields, columns }: Block): void {
    // Blocks refer to texts of earlier blocks, so they must be decoded in order.
    this.#readDeferred();
    this.#addTexts(fields, columns);
    const counts = columns["counts"] as Column;
    const offsets = new Uint32Array(counts.length + 1);
    counts.forEach((count, row) => {
      offsets[row + 1] = (offsets[row] ?? 0) + count;
    });
    this.#chunks.add({
      first: fields["first"] as number,
      last: fields["last"] as number,
      firstRow: fields["first"] as number,
      offsets,
      labelAt: columns["labelAt"] as Column,
      logprob: columns["logprob"] as Float32Array,
    });
  }

  /** Request the measures if they are not complete. Returns whether they are. */
  requestMeasures(): boolean {
    if (this.#measuredCount < this.count) this.request({ measures: true });
    return this.#measuredCount >= this.count;
  }

  /** The alternatives of a token; undefined, and requested, if they have not arrived. */
  alternatives(token: number): Alternative[] | undefined {
    this.#readDeferred();
    const chunk = this.#chunks.at(token);
    if (!chunk) {
      this.request({ chunk: Math.floor(token / this.chunkSize) });
      return undefined;
    }
    const alternatives: Alternative[] = [];
    const row = token - chunk.firstRow;
    for (let at = chunk.offsets[row] ?? 0; at < (chunk.offsets[row + 1] ?? 0); at++) {
      const textIndex = chunk.labelAt[at] ?? 0;
      alternatives.push({
        label: this.text(textIndex).label,
        textIndex,
        logprob: chunk.logprob[at] ?? Number.NaN,
        chosen: textIndex === this.labelAt[token],
      });
    }
    return alternatives;
  }

  /** A text by its index. Built on first use, because most texts of a large vocabulary are never drawn. */
  text(index: number): TokenText {
    const existing = this.#texts[index];
    if (existing) return existing;
    const batch = this.#batchOfText(index);
    if (!batch) return EMPTY_TEXT;
    const row = this.#rowOf[index] ?? 0;
    const source = batch.sources[row] ?? "";
    const text = {
      label: batch.labels[index] ?? (source.startsWith(" ") ? `·${source.slice(1)}` : source),
      source,
      id: batch.ids[row] ?? -1,
      fragments: batch.stretches[index]?.map(([shown, copied, flags]) => ({
        shown,
        copied,
        breaks: (flags & BREAKS) !== 0,
        marked: (flags & MARKED) !== 0,
      })) ?? [{ shown: source, copied: source, breaks: false, marked: false }],
    };
    this.#texts[index] = text;
    return text;
  }

  /** The text that a token contributes to the completion. */
  source(token: number): string {
    const index = this.textAt[token] ?? 0;
    return this.#batchOfText(index)?.sources[this.#rowOf[index] ?? 0] ?? "";
  }

  /** The name of a token in lists. */
  label(token: number): string {
    return this.text(this.labelAt[token] ?? 0).label;
  }

  #batchOfText(index: number): TextBatch | undefined {
    return this.#batches[(this.#batchOf[index] ?? 0) - 1];
  }

  #addTexts(fields: Record<string, unknown>, columns: Record<string, Column>): void {
    const indices = columns["places"] as Uint32Array;
    if (!indices.length) return;
    const batches = this.#batches;
    // A block with all texts replaces the earlier batches.
    if (indices[0] === 0 && indices.length >= this.#textCount) batches.length = 0;
    batches.push({ ...(fields as unknown as Omit<TextBatch, "ids">), ids: columns["ids"] as Int32Array });
    const size = (indices[indices.length - 1] ?? 0) + 1;
    this.#textCount = Math.max(this.#textCount, size);
    const batchOf = ensureCapacity(this.#batchOf, size);
    const rowOf = ensureCapacity(this.#rowOf, size);
    this.#batchOf = batchOf;
    this.#rowOf = rowOf;
    const batch = batches.length;
    for (let row = 0; row < indices.length; row++) {
      const index = indices[row] ?? 0;
      batchOf[index] = batch;
      rowOf[index] = row;
    }
  }
}
