// A completion as it is known so far: texts, a row per token, and what was weighed there as far as it has come.

import { Chunks } from "./chunks.ts";
import { type Block, type Column, unpack } from "./codec.ts";
import type { ColorBy, Scale } from "./scale.ts";

/** A stretch of a text within one line: what is drawn, what it stands for. */
export interface Stretch {
  shown: string;
  copied: string;
  breaks: boolean;
  marked: boolean;
}

export interface Text {
  /** The token by itself, for lists; what it stands for; its id in the model's vocabulary, or -1. */
  label: string;
  source: string;
  id: number;
  stretches: Stretch[];
}

export interface Measures {
  /** Bits; of the interval that the alternatives leave. */
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
  text: number;
  logprob: number;
  chosen: boolean;
}

/** Texts that came together: as they are sent. */
interface Batch {
  sources: string[];
  ids: Column;
  /** Of those that are not called, or not drawn, just as they are. */
  labels: Record<number, string>;
  stretches: Record<number, [string, string, number][]>;
}

const BREAKS = 1;
const MARKED = 2;
const MEASURED = ["entropy", "entropyMost", "margin", "tail", "rank", "listed"] as const;
const NOTHING: Text = { label: "", source: "", id: -1, stretches: [] };

/** A typed column with room to grow, so that what is appended costs the same however much there is. */
function grown<T extends Column>(old: T, length: number): T {
  if (old.length >= length) return old;
  const make = old.constructor as unknown as new (length: number) => T;
  const larger = new make(Math.max(length, old.length * 2, 1024));
  larger.set(old as never);
  return larger;
}

function overAll(make: (name: (typeof MEASURED)[number]) => Column): Measures {
  return Object.fromEntries(MEASURED.map((name) => [name, make(name)])) as unknown as Measures;
}

export class Store {
  count = 0;
  /** Which completion this is: rows of another one do not belong here. */
  epoch = "";
  chunk = 4096;
  vocabSize: number | null = null;
  scales = {} as Record<ColorBy, Scale>;
  private readonly texts: (Text | undefined)[] = [];
  private readonly batches: Batch[] = [];
  /** For each text, in which batch it came, and where in that. */
  private batchOf = new Uint32Array(0);
  private rowOf = new Uint32Array(0);
  /** How many texts there are so far. */
  private known = 0;
  /** Per token: its label's place among the texts, the text it is drawn as, and its log-probability in nats. */
  labelAt = new Uint32Array(0);
  textAt = new Uint32Array(0);
  logprob = new Float32Array(0);
  /** Null until something is measured; of the first `measured` tokens, and of those alone. */
  measures: Measures | null = null;
  /** The same with room to grow. */
  private room: Measures | null = null;
  private measured = 0;
  private readonly chunks = new Chunks();
  private unread: DataView | null = null;

  constructor(
    private readonly ask: (what: { chunk: number } | { measures: true } | { whole: true }) => void,
    data: DataView,
  ) {
    const block = unpack(data);
    this.epoch = block.fields["epoch"] as string;
    this.receive(block);
  }

  /** Take rows; gives the first that is new or has changed, or null where they do not fit to those that are here. */
  receive({ fields, columns }: Block): number | null {
    this.readAlternatives();
    const first = fields["first"] as number;
    if (fields["epoch"] !== this.epoch) return null;
    if (first > this.count) {
      // What lies between was lost on the way.
      this.ask({ whole: true });
      return null;
    }
    const before = this.count;
    this.count = fields["count"] as number;
    this.chunk = fields["chunk"] as number;
    this.vocabSize = fields["vocabSize"] as number | null;
    this.scales = fields["scales"] as Record<ColorBy, Scale>;
    this.enter(fields, columns);
    this.labelAt = grown(this.labelAt, this.count);
    this.textAt = grown(this.textAt, this.count);
    this.logprob = grown(this.logprob, this.count);
    const labels = columns["labelAt"] as Column;
    const texts = new Uint32Array(labels);
    const odd = columns["odd"] as Uint32Array;
    odd.forEach((token, at) => {
      texts[token - first] = columns["oddText"]?.[at] ?? 0;
    });
    let changed = Math.min(before, this.count);
    for (let token = first; token < changed; token++) {
      if (this.textAt[token] !== texts[token - first]) changed = token;
    }
    this.labelAt.set(labels, first);
    this.textAt.set(texts, first);
    this.logprob.set(columns["logprob"] as Float32Array, first);
    return changed;
  }

  /** Take what is measured of some tokens. */
  receiveMeasures({ fields, columns }: Block): void {
    const first = fields["first"] as number;
    const rows = columns as unknown as Measures;
    if (first > this.measured) return;
    const { room } = this;
    const end = first + rows.entropy.length;
    if (!room || first === 0) this.room = rows;
    else {
      const add = <T extends Column>(old: T, more: T): T => {
        const longer = grown(old, end);
        longer.set(more as never, first);
        return longer;
      };
      this.room = overAll((name) => add(room[name], rows[name]));
    }
    const whole = this.room as Measures;
    this.measures = overAll((name) => whole[name].subarray(0, end));
    this.measured = end;
  }

  /** Whether what is measured of a token has come. */
  isMeasured(token: number): boolean {
    return token < this.measured;
  }

  /** Take what was weighed at some tokens, to be read when somebody asks for it: not before a first paint. */
  keepAlternatives(data: DataView): void {
    this.readAlternatives();
    this.unread = data;
  }

  private readAlternatives(): void {
    const { unread } = this;
    this.unread = null;
    if (unread) this.receiveAlternatives(unpack(unread));
  }

  /** Take what was weighed at some tokens. */
  receiveAlternatives({ fields, columns }: Block): void {
    // Texts are known by their place: what came before is read before.
    this.readAlternatives();
    this.enter(fields, columns);
    const counts = columns["counts"] as Column;
    const starts = new Uint32Array(counts.length + 1);
    counts.forEach((count, at) => {
      starts[at + 1] = (starts[at] ?? 0) + count;
    });
    this.chunks.add({
      first: fields["first"] as number,
      last: fields["last"] as number,
      begins: fields["first"] as number,
      starts,
      labelAt: columns["labelAt"] as Column,
      logprob: columns["logprob"] as Float32Array,
    });
  }

  /** Ask for what is measured, where it has not come; whether it is there. */
  wantMeasures(): boolean {
    if (this.measured < this.count) this.ask({ measures: true });
    return this.measured >= this.count;
  }

  /** What the model weighed at a token; undefined while it is on its way. */
  alternatives(token: number): Alternative[] | undefined {
    this.readAlternatives();
    const chunk = this.chunks.at(token);
    if (!chunk) {
      this.ask({ chunk: Math.floor(token / this.chunk) });
      return undefined;
    }
    const found: Alternative[] = [];
    const row = token - chunk.begins;
    for (let at = chunk.starts[row] ?? 0; at < (chunk.starts[row + 1] ?? 0); at++) {
      const text = chunk.labelAt[at] ?? 0;
      found.push({
        label: this.text(text).label,
        text,
        logprob: chunk.logprob[at] ?? Number.NaN,
        chosen: text === this.labelAt[token],
      });
    }
    return found;
  }

  /** A text; made when it is first looked at, for most of a large vocabulary never is. */
  text(place: number): Text {
    const known = this.texts[place];
    if (known) return known;
    const batch = this.batchOfText(place);
    if (!batch) return NOTHING;
    const row = this.rowOf[place] ?? 0;
    const source = batch.sources[row] ?? "";
    const drawn = batch.stretches[place] ?? [[source, source, 0]];
    const made = {
      label: batch.labels[place] ?? (source.startsWith(" ") ? `·${source.slice(1)}` : source),
      source,
      id: batch.ids[row] ?? -1,
      stretches: drawn.map(([shown, copied, flags]) => ({
        shown,
        copied,
        breaks: (flags & BREAKS) !== 0,
        marked: (flags & MARKED) !== 0,
      })),
    };
    this.texts[place] = made;
    return made;
  }

  /** What a token stands for in the completion. */
  source(token: number): string {
    const place = this.textAt[token] ?? 0;
    return this.batchOfText(place)?.sources[this.rowOf[place] ?? 0] ?? "";
  }

  /** How a token is called in lists. */
  label(token: number): string {
    return this.text(this.labelAt[token] ?? 0).label;
  }

  private batchOfText(place: number): Batch | undefined {
    // The first of all is 1: 0 is what has not come.
    return this.batches[(this.batchOf[place] ?? 0) - 1];
  }

  private enter(fields: Record<string, unknown>, columns: Record<string, Column>): void {
    const places = columns["places"] as Uint32Array;
    if (!places.length) return;
    const { batches } = this;
    // All texts again: those that came before are not needed any more.
    if (places[0] === 0 && places.length >= this.known) batches.length = 0;
    batches.push({ ...(fields as unknown as Omit<Batch, "ids">), ids: columns["ids"] as Int32Array });
    const size = (places[places.length - 1] ?? 0) + 1;
    this.known = Math.max(this.known, size);
    this.batchOf = grown(this.batchOf, size);
    this.rowOf = grown(this.rowOf, size);
    const batch = batches.length;
    places.forEach((place, row) => {
      this.batchOf[place] = batch;
      this.rowOf[place] = row;
    });
  }
}
