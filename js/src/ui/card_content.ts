// The content of a token's card: what is said of the token and of its alternatives, and the elements that show it.

import { describeSampler, NO_SAMPLER, type SamplerSettings, samplingBounds } from "../data/cuts.ts";
import { percent, percentRange, pluralize, signed } from "../data/format.ts";
import type { Alternative, Store } from "../data/store.ts";
import { button, element } from "./dom.ts";

/** Alternatives that a card shows at first. */
export const FIRST_ROWS = 8;
/** Alternatives that each press of *more* adds: a whole vocabulary has too many for one page. */
const MORE_ROWS = 100;
/** Bytes of a token that are listed. */
const MAX_BYTES = 32;

/** Selects the control that shows other numbers of alternatives. */
export const MORE_BUTTON = ".deluge-folded";

interface CardRow {
  label: string;
  /** The index of the alternative; -1 for the row of an unlisted token, and for the last row. */
  index: number;
  /** Nats, at temperature 1; NaN if unknown. */
  logprob: number;
  /** Bounds on the probability that the model gives it, and on that with which it is drawn. */
  model: [number, number];
  bounds: [number, number];
  /** True if the sampler never draws it. */
  isCut: boolean;
  kind: "" | "deluge-own" | "deluge-rest";
  rank: string;
}

/** What the controls within the content do. */
export interface ContentActions {
  /** Continue from an alternative, by its index; null if that is impossible. */
  onBranch?: ((token: number, index: number) => void) | null;
  /** Show another number of alternatives. */
  onMore?: (limit: number) => void;
}

/** The number of alternatives in a card: it grows with *more*, and is the first one again for another token. */
export class RowLimit {
  #limit = FIRST_ROWS;
  #key = "";

  /** The limit for the token with a key. */
  of(key: string): number {
    if (key !== this.#key) this.#limit = FIRST_ROWS;
    this.#key = key;
    return this.#limit;
  }

  set(limit: number): void {
    this.#limit = limit;
  }
}

/** The content of a token's card, as text and numbers without elements. */
export class CardContent {
  readonly label: string;
  readonly logprob: number;
  /** All rows, also those that are folded. */
  readonly rows: CardRow[] = [];

  constructor(
    private readonly store: Store,
    readonly token: number,
    readonly alternatives: Alternative[] | undefined,
    readonly sampler: SamplerSettings = NO_SAMPLER,
    /** The number of alternatives that are shown; the chosen token is in any case. */
    readonly limit = FIRST_ROWS,
  ) {
    this.label = store.label(token);
    this.logprob = store.logprob[token] ?? Number.NaN;
    if (alternatives?.length) this.rows = this.#createRows(alternatives);
  }

  get rank(): string {
    const { measures } = this.store;
    const rank = measures?.rank[this.token];
    if (rank === undefined) return "";
    if (!rank) return "no alternatives";
    return measures?.listed[this.token] ? `rank ${rank}` : `not in the top ${rank - 1}`;
  }

  /** An interval, because the hidden tail is unknown; only a lower bound if the vocabulary size is unknown. */
  get entropy(): string {
    const least = this.store.measures?.entropy[this.token] ?? Number.NaN;
    const most = this.store.measures?.entropyMost[this.token] ?? Number.NaN;
    if (Number.isNaN(least)) return "";
    let range = least.toFixed(2);
    if (!Number.isFinite(most)) range = `≥ ${range}`;
    else if (most - least >= 0.005) range += `\u00a0–\u00a0${most.toFixed(2)}`;
    return `entropy ${range} bits`;
  }

  /** The settings of the sampler in words; empty if it draws from the model's own distribution. */
  get sampling(): string {
    return describeSampler(this.sampler);
  }

  get shownRows(): CardRow[] {
    return this.rows.filter((row, index) => index < this.limit || row.kind);
  }

  get foldedRows(): CardRow[] {
    return this.rows.filter((row, index) => index >= this.limit && !row.kind);
  }

  /** The text for screen readers when other rows are shown. */
  get spokenRows(): string {
    const count = this.shownRows.filter((row) => row.kind !== "deluge-rest").length;
    return `${pluralize(count, "alternative")} shown`;
  }

  get facts(): string[] {
    const { logprob, store } = this;
    const text = Number.isNaN(logprob) ? "log-probability withheld" : `logprob ${signed(logprob, 3)} nats`;
    const silence = this.alternatives && !store.isMeasured(this.token) ? store.silence() : "";
    return [this.rank, text, this.entropy, silence && `rank and entropy: ${silence}`].filter(Boolean);
  }

  /** What stands in place of alternatives that have not arrived. */
  get waiting(): string {
    return this.store.silence() || "loading alternatives …";
  }

  /** The token's id in the vocabulary, and its bytes. */
  get identity(): string {
    const { id, source, label } = this.store.text(this.store.labelAt[this.token] ?? 0);
    // Cut the bytes and not the text: that might split a surrogate pair.
    const bytes = new TextEncoder().encode(source.slice(0, 2 * MAX_BYTES));
    const hex = source
      ? Array.from(bytes.subarray(0, MAX_BYTES), (byte) => byte.toString(16).padStart(2, "0")).join(" ")
      : label.replace(/[⟨⟩]/g, "").toLowerCase();
    const more = bytes.length > MAX_BYTES ? " …" : "";
    return [id >= 0 ? `id ${id}` : "", hex === "∅" ? "no bytes" : `bytes ${hex}${more}`]
      .filter(Boolean)
      .join(" · ");
  }

  /** The rows as tab-separated lines, to be pasted into a spreadsheet. */
  get table(): string {
    const lines = this.rows.map((row) => {
      const text = row.index < 0 ? row.label : (this.#sourceOf(row.index) ?? row.label);
      const logprob = Number.isNaN(row.logprob) ? "" : String(Number(row.logprob.toPrecision(7)));
      const [low, high] = row.bounds.map((bound) => Number(bound.toPrecision(6)));
      return [JSON.stringify(text), row.rank, logprob, low, high].join("\t");
    });
    return ["token\trank\tlogprob\tprobability_lower\tprobability_upper", ...lines].join("\n");
  }

  /** The text for screen readers. */
  get spoken(): string {
    const others = this.rows
      .filter((row) => !row.kind)
      .slice(0, 3)
      .map((row) => `${row.label} ${drawnText(row)}`);
    const own = this.rows.find((row) => row.kind === "deluge-own");
    const probability = own ? drawnText(own) : percent(Math.exp(this.logprob));
    const rest = others.length ? `; alternatives: ${others.join(", ")}` : "";
    const rank = this.rank ? `, ${this.rank}` : "";
    return `token ${this.token + 1} of ${this.store.count}: ${this.label}, ${probability}${rank}${rest}`;
  }

  #sourceOf(index: number): string | undefined {
    const textIndex = this.alternatives?.[index]?.textIndex;
    return textIndex === undefined ? undefined : this.store.text(textIndex).source || undefined;
  }

  #createRows(alternatives: Alternative[]): CardRow[] {
    const isListed = alternatives.some((alternative) => alternative.chosen);
    const unlisted = isListed || Number.isNaN(this.logprob) ? null : this.logprob;
    const logprobs = alternatives.map(({ logprob }) => logprob).filter((logprob) => !Number.isNaN(logprob));
    const ranks = ranksOf(alternatives);
    const { vocabSize } = this.store;
    const bounds = samplingBounds(logprobs, this.sampler, vocabSize, unlisted);
    const own = this.sampling ? samplingBounds(logprobs, NO_SAMPLER, vocabSize, unlisted) : bounds;
    // At temperature 0 no cut matters.
    const canCut = this.sampler.temperature !== 0;
    let known = 0;
    // The unlisted token comes last; there are no bounds if it is unknown.
    const next = (logprob: number) => {
      const at = known++;
      // As listed: `own` is divided by its sum where the server's numbers add up to more than 1.
      const model: [number, number] = [Math.exp(logprob), Math.exp(logprob)];
      const drawn: [number, number] = [bounds.lower[at] ?? Number.NaN, bounds.upper[at] ?? Number.NaN];
      return {
        model,
        bounds: this.sampling ? drawn : model,
        isCut: canCut && bounds.possible[at] === false,
      };
    };
    const unknown: [number, number] = [Number.NaN, Number.NaN];
    const rows = alternatives.map(({ label, logprob, chosen }, index): CardRow => {
      const isKnown = !Number.isNaN(logprob);
      return {
        label,
        index,
        logprob,
        ...(isKnown ? next(logprob) : { model: unknown, bounds: unknown, isCut: false }),
        kind: chosen ? "deluge-own" : "",
        rank: isKnown ? String(ranks[index]) : "",
      };
    });
    // Some servers list the chosen token first, whatever its rank. Unknown ones are last, in the order of the list.
    const sortKey = (row: CardRow) => (Number.isNaN(row.logprob) ? Number.NEGATIVE_INFINITY : row.logprob);
    rows.sort((a, b) => sortKey(b) - sortKey(a) || 0);
    if (!isListed) {
      rows.push({
        label: this.label,
        index: -1,
        logprob: this.logprob,
        ...next(this.logprob),
        kind: "deluge-own",
        rank: `> ${alternatives.length}`,
      });
    }
    // At temperature 1, Python's tail has more digits than a difference from 1 in single precision.
    const tail = this.store.measures?.tail[this.token];
    const model: [number, number] = tail === undefined ? own.rest : [tail, tail];
    rows.push({
      label: "everything else",
      index: -1,
      logprob: Number.NaN,
      model,
      bounds: this.sampling ? bounds.rest : model,
      isCut: canCut && bounds.rest[1] === 0 && model[1] > 0,
      kind: "deluge-rest",
      rank: "",
    });
    return rows;
  }
}

/** The probability with which a token is drawn, as words. */
function drawnText({ isCut, bounds }: CardRow): string {
  return isCut ? "cut" : percentRange(bounds);
}

/** The ranks of alternatives, from 1; alternatives of equal probability share one. */
function ranksOf(alternatives: Alternative[]): number[] {
  const order = alternatives.map((_, index) => index).filter((index) => !Number.isNaN(logprobAt(index)));
  function logprobAt(index: number): number {
    return alternatives[index]?.logprob ?? Number.NaN;
  }
  order.sort((a, b) => logprobAt(b) - logprobAt(a));
  const ranks: number[] = [];
  let rank = 0;
  order.forEach((index, position) => {
    if (!position || logprobAt(index) !== logprobAt(order[position - 1] ?? 0)) rank = position + 1;
    ranks[index] = rank;
  });
  return ranks;
}

/** The elements of a card: the token and its number first, then bars, then facts. */
export function renderContent(content: CardContent, actions: ContentActions = {}): HTMLElement[] {
  const head = element("div", "deluge-card-head");
  const own = content.rows.find((row) => row.kind === "deluge-own");
  const number = element("strong", "", own ? percentRange(own.model) : percent(Math.exp(content.logprob)));
  if (own && content.sampling) number.append(element("span", "deluge-drawn", ` → ${drawnText(own)}`));
  head.append(element("code", "", content.label), number);
  const facts = element("div", "deluge-card-facts", content.facts.join(" · "));
  const identity = element("div", "deluge-card-facts deluge-identity", content.identity);
  identity.title = content.identity;
  if (!content.alternatives) {
    return [head, element("div", "deluge-card-facts", content.waiting), facts, identity];
  }
  if (!content.rows.length) return [head, facts, identity];
  if (content.sampling) facts.append(` · drawn at ${content.sampling}`);
  return [head, renderList(content, actions), facts, identity];
}

function renderList(content: CardContent, { onBranch, onMore }: ContentActions): HTMLElement {
  const list = element("div", "deluge-card-list");
  const more = renderMore(content, onMore);
  list.classList.toggle("deluge-sampled", !!content.sampling);
  if (content.sampling) {
    const names = element("div", "deluge-columns");
    names.append(element("span", "deluge-model", "model"), element("span", "", "drawn"));
    list.append(names);
  }
  for (const row of content.shownRows) {
    const { index } = row;
    const onClick = onBranch && index >= 0 ? () => onBranch(content.token, index) : null;
    if (more && row.kind === "deluge-rest") list.append(more);
    list.append(renderRow(row, !!content.sampling, onClick));
  }
  return list;
}

/** The row of the alternatives that are folded: a button if `onMore` is given. */
function renderMore(content: CardContent, onMore: ContentActions["onMore"]): HTMLElement | null {
  const { limit, foldedRows } = content;
  const count = foldedRows.length;
  if (!count && limit === FIRST_ROWS) return null;
  const added = Math.min(count, MORE_ROWS);
  const label = count ? `${count} more` : "fewer";
  const title = count ? `Show ${added} more alternatives` : "Show fewer alternatives";
  const next = count ? limit + MORE_ROWS : FIRST_ROWS;
  const root = onMore ? button("", title, () => onMore(next)) : element("div");
  root.className = "deluge-folded";
  if (onMore) root.setAttribute("aria-expanded", String(limit > FIRST_ROWS));
  root.append(element("span", "deluge-count", label));
  if (!count) return root;
  const sum = (of: "model" | "bounds", at: 0 | 1) =>
    Math.min(
      1,
      foldedRows.reduce((total, row) => total + (row[of][at] || 0), 0),
    );
  const total = (of: "model" | "bounds") => percentRange([sum(of, 0), sum(of, 1)]);
  const isCut = foldedRows.every((row) => row.isCut);
  if (content.sampling) root.append(element("span", "deluge-model", total("model")));
  root.append(element("span", "deluge-percent", isCut ? "cut" : total("bounds")));
  return root;
}

/** The row of an alternative. Of a sampler's row the bar is what is drawn, and a mark on it what the model thinks. */
export function renderRow(row: CardRow, isSampled: boolean, onClick: (() => void) | null): HTMLElement {
  const root = onClick ? button("", "", onClick) : element("div");
  root.className = `deluge-row ${row.kind}${row.isCut ? " deluge-cut" : ""}`;
  const name = element("code", "", row.label);
  const rail = element("span", "deluge-rail");
  const [low, high] = row.bounds;
  if (high - low > 5e-5) {
    const upper = element("span", "deluge-fill deluge-pale");
    upper.style.width = `${Math.min(1, high) * 100}%`;
    rail.append(upper);
  }
  if (!row.isCut) {
    const lower = element("span", "deluge-fill");
    lower.style.width = `${Number.isNaN(low) ? 0 : Math.min(1, low) * 100}%`;
    // The least width of a bar is a pixel.
    lower.hidden = !(low > 0);
    rail.append(lower);
  }
  root.append(element("span", "deluge-rank", row.rank), name, rail);
  if (isSampled) {
    const mark = element("span", "deluge-mark");
    mark.style.left = `${Math.min(1, row.model[0] || 0) * 100}%`;
    rail.append(mark);
    root.append(element("span", "deluge-model", percentRange(row.model)));
  }
  root.append(element("span", "deluge-percent", drawnText(row)));
  if (!isSampled) {
    const logprob = Number.isNaN(row.logprob) ? "" : signed(row.logprob);
    root.append(element("span", "deluge-logprob", logprob));
  }
  if (onClick) root.title = `Continue from ${row.label}`;
  return root;
}
