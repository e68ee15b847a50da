// The card of a token: its alternatives, and their probabilities at another temperature.

import { percent, percentRange } from "../data/format.ts";
import type { Alternative, Store } from "../data/store.ts";
import { atTemperature, type TemperatureBounds } from "../data/temperature.ts";
import { button, element } from "./dom.ts";
import { isVisible } from "./shell.ts";

/** Distance between card, token and window edge: px. */
const GAP = 6;
/** Alternatives with a row of their own; the others are added to the last row. */
const MAX_ROWS = 20;
/** Bytes of a token that are listed. */
const MAX_BYTES = 32;

/** Whether a card offers to branch, and the reason if it does not. */
export interface BranchOptions {
  /** Continue from an alternative, given by its index; null if that is impossible. */
  branch: ((token: number, index: number) => void) | null;
  /** Empty if there is nothing to explain. */
  whyNot: string;
}

interface CardRow {
  label: string;
  /** The index of the alternative; -1 for the row of an unlisted token, and for the last row. */
  index: number;
  /** Nats, at temperature 1; NaN if unknown. */
  logprob: number;
  bounds: [number, number];
  kind: "" | "deluge-own" | "deluge-rest";
  rank: string;
}

/** What a card says of a token, as text and numbers without elements. */
export class CardContent {
  readonly label: string;
  readonly logprob: number;
  readonly rows: CardRow[] = [];

  constructor(
    private readonly store: Store,
    readonly token: number,
    readonly alternatives: Alternative[] | undefined,
    readonly temperature: number,
  ) {
    this.label = store.label(token);
    this.logprob = store.logprob[token] ?? Number.NaN;
    if (alternatives?.length) this.rows = this.createRows(alternatives);
  }

  get rank(): string {
    const { measures } = this.store;
    const rank = measures?.rank[this.token];
    if (rank === undefined) return "";
    if (!rank) return "no alternatives";
    return measures?.listed[this.token] ? `rank ${rank}` : `not among the ${rank - 1} likeliest`;
  }

  /** An interval, because the hidden tail is unknown; only a lower bound if the vocabulary size is unknown. */
  get entropy(): string {
    const least = this.store.measures?.entropy[this.token] ?? Number.NaN;
    const most = this.store.measures?.entropyMost[this.token] ?? Number.NaN;
    if (Number.isNaN(least)) return "";
    let range = least.toFixed(2);
    if (!Number.isFinite(most)) range = `≥ ${range}`;
    else if (most - least >= 0.005) range += ` – ${most.toFixed(2)}`;
    return `entropy ${range} bits`;
  }

  get facts(): string[] {
    const { logprob } = this;
    const text = Number.isNaN(logprob) ? "log-probability withheld" : `logprob ${logprob.toFixed(3)} nats`;
    return [this.rank, text, this.entropy].filter(Boolean);
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
      const text = row.index < 0 ? row.label : (this.sourceOf(row.index) ?? row.label);
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
      .map((row) => `${row.label} ${percentRange(row.bounds)}`);
    const own = this.rows.find((row) => row.kind === "deluge-own");
    const probability = own ? percentRange(own.bounds) : percent(Math.exp(this.logprob));
    const rest = others.length ? `; also weighed: ${others.join(", ")}` : "";
    const rank = this.rank ? `, ${this.rank}` : "";
    return `token ${this.token + 1} of ${this.store.count}: ${this.label}, ${probability}${rank}${rest}`;
  }

  private sourceOf(index: number): string | undefined {
    const textIndex = this.alternatives?.[index]?.textIndex;
    return textIndex === undefined ? undefined : this.store.text(textIndex).source || undefined;
  }

  private createRows(alternatives: Alternative[]): CardRow[] {
    const known = alternatives.filter((alternative) => !Number.isNaN(alternative.logprob));
    const isListed =
      known.some((alternative) => alternative.chosen) ||
      alternatives.some((alternative) => alternative.chosen);
    const unlisted = isListed || Number.isNaN(this.logprob) ? null : this.logprob;
    const { vocabSize, measures } = this.store;
    const logprobs = known.map((alternative) => alternative.logprob);
    const probabilities: TemperatureBounds = atTemperature(logprobs, this.temperature, vocabSize, unlisted);
    const knownIndex = new Map(known.map((alternative, index) => [alternative, index]));
    const sorted = [...logprobs].sort((a, b) => b - a);
    const boundsAt = (index: number): [number, number] => [
      probabilities.lower[index] ?? Number.NaN,
      probabilities.upper[index] ?? Number.NaN,
    ];
    const rows = alternatives.map((alternative, index): CardRow => {
      const at = knownIndex.get(alternative);
      return {
        label: alternative.label,
        index,
        logprob: alternative.logprob,
        bounds: at === undefined ? [Number.NaN, Number.NaN] : boundsAt(at),
        kind: alternative.chosen ? "deluge-own" : "",
        rank: at === undefined ? "" : String(sorted.indexOf(alternative.logprob) + 1),
      };
    });
    const shown = rows.filter((row, index) => index < MAX_ROWS || row.kind);
    const cut = rows.filter((row) => !shown.includes(row));
    if (!isListed) {
      shown.push({
        label: this.label,
        index: -1,
        logprob: this.logprob,
        bounds: unlisted === null ? [Number.NaN, Number.NaN] : boundsAt(known.length),
        kind: "deluge-own",
        rank: `> ${alternatives.length}`,
      });
    }
    // Python's tail has more digits than a difference from 1 in single precision.
    const tail = measures?.tail[this.token];
    const [least, most] = this.temperature === 1 && tail !== undefined ? [tail, tail] : probabilities.rest;
    const sum = (bound: 0 | 1) => cut.reduce((total, row) => total + (row.bounds[bound] || 0), 0);
    shown.push({
      label: "everything else",
      index: -1,
      logprob: Number.NaN,
      bounds: [Math.min(1, least + sum(0)), Math.min(1, most + sum(1))],
      kind: "deluge-rest",
      rank: "",
    });
    return shown;
  }
}

/** The elements of a card. Rows are buttons if the options allow branching. */
export function renderContent(content: CardContent, options: BranchOptions | null): HTMLElement[] {
  const head = element("div", "deluge-card-head");
  const own = content.rows.find((row) => row.kind === "deluge-own");
  const probability = own ? percentRange(own.bounds) : percent(Math.exp(content.logprob));
  head.append(element("code", "", content.label), element("strong", "", probability));
  const facts = element("div", "deluge-card-facts", content.facts.join(" · "));
  const identity = element("div", "deluge-card-facts", content.identity);
  if (!content.alternatives) {
    return [head, facts, element("div", "deluge-card-facts", "fetching the alternatives …"), identity];
  }
  if (!content.rows.length) return [head, facts, identity];
  const list = element("div", "deluge-card-list");
  if (content.temperature !== 1) {
    facts.append(` · shown at temperature ${content.temperature}`);
  }
  for (const row of content.rows) {
    const index = row.index;
    const onClick = options?.branch && index >= 0 ? () => options.branch?.(content.token, index) : null;
    list.append(renderRow(row, onClick));
  }
  return [head, facts, list, identity];
}

function renderRow(row: CardRow, onClick: (() => void) | null): HTMLElement {
  const root = onClick ? button("", "", onClick) : element("div");
  root.className = `deluge-row ${row.kind}`;
  const name = element("code", "", row.label);
  const rail = element("span", "deluge-rail");
  const [low, high] = row.bounds;
  if (high - low > 5e-5) {
    const upper = element("span", "deluge-fill deluge-pale");
    upper.style.width = `${Math.min(1, high) * 100}%`;
    rail.append(upper);
  }
  const lower = element("span", "deluge-fill");
  lower.style.width = `${Number.isNaN(low) ? 0 : Math.min(1, low) * 100}%`;
  rail.append(lower);
  const logprob = element("span", "deluge-logprob", Number.isNaN(row.logprob) ? "" : row.logprob.toFixed(2));
  const probability = element("span", "deluge-percent", percentRange(row.bounds));
  root.append(element("span", "deluge-rank", row.rank), name, rail, probability, logprob);
  if (onClick) root.title = `Continue from ${row.label}`;
  return root;
}

/** What a card needs of the view that shows it. */
export interface CardHost {
  /** The scrolling box of the text. */
  readonly box: HTMLElement;
  /** The element of the card's token, if it is rendered. */
  find(): HTMLElement | null;
  hide(): void;
  /** Hide the card and return the focus to the text. */
  close(): void;
}

/** The card beside a token. It follows the pointer, or stays open until it is closed. */
export class Card {
  readonly root = element("div", "deluge-card");
  token: number | null = null;
  isOpen = false;
  private anchor: HTMLElement | null = null;
  /** Where the anchor was when the card was placed beside it, and whether it was visible. */
  private anchorPosition = [0, 0];
  private wasVisible = false;
  private frameRequest = 0;

  constructor(private readonly host: CardHost) {
    // Popovers are in the top layer, where no scrolling box and no output area clips them.
    this.root.setAttribute("popover", "manual");
    this.root.hidden = typeof this.root.showPopover !== "function";
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        this.host.close();
        return;
      }
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        const controls = [...this.root.querySelectorAll<HTMLElement>("button, input")];
        const index = controls.indexOf(event.target as HTMLElement);
        if (index < 0 || (event.target as HTMLElement).tagName === "INPUT") return;
        event.preventDefault();
        controls[(index + (event.key === "ArrowDown" ? 1 : controls.length - 1)) % controls.length]?.focus();
      }
      event.stopPropagation();
    });
  }

  show(token: number, children: HTMLElement[], anchor: HTMLElement, isOpen: boolean): void {
    this.token = token;
    this.isOpen = isOpen;
    const hasFocus = this.root.contains((this.root.getRootNode() as Document | ShadowRoot).activeElement);
    const focused = hasFocus
      ? [...this.root.querySelectorAll("button, input")].indexOf(this.activeElement as Element)
      : -1;
    this.replaceContent(children);
    this.root.classList.toggle("deluge-open", isOpen);
    if (isOpen) {
      this.root.removeAttribute("aria-hidden");
      this.root.setAttribute("role", "dialog");
      this.root.setAttribute("aria-label", `What was weighed at token ${token + 1}`);
    } else {
      this.root.setAttribute("aria-hidden", "true");
      this.root.removeAttribute("role");
      this.root.removeAttribute("aria-label");
    }
    if (typeof this.root.showPopover === "function") {
      if (!this.root.matches(":popover-open")) this.root.showPopover();
    } else this.root.hidden = false;
    this.placeBeside(anchor);
    if (focused >= 0)
      this.root.querySelectorAll<HTMLElement>("button, input")[focused]?.focus({ preventScroll: true });
  }

  /** Replace the content, but leave an element that stays in place: it may be a slider that is being dragged. */
  private replaceContent(children: HTMLElement[]): void {
    const kept = children.find((child) => child.parentNode === this.root);
    if (!kept) {
      this.root.replaceChildren(...children);
      return;
    }
    for (const child of [...this.root.children]) if (child !== kept) child.remove();
    const index = children.indexOf(kept);
    kept.before(...children.slice(0, index));
    kept.after(...children.slice(index + 1));
  }

  hide(): void {
    this.token = this.anchor = null;
    this.isOpen = false;
    cancelAnimationFrame(this.frameRequest);
    this.frameRequest = 0;
    if (typeof this.root.hidePopover === "function") {
      if (this.root.matches(":popover-open")) this.root.hidePopover();
    } else this.root.hidden = true;
  }

  focus(): void {
    this.root.querySelector<HTMLElement>("button, input")?.focus({ preventScroll: true });
  }

  private get activeElement(): Element | null {
    return (this.root.getRootNode() as Document | ShadowRoot).activeElement;
  }

  /**
   * Keep the card beside its token, and hide it when the token leaves the screen. Checked in every frame, because no event
   * reports all that can move a token: scrolling and resizing anywhere on the page.
   */
  private readonly followAnchor = (): void => {
    this.frameRequest = 0;
    const { anchor, host } = this;
    if (!anchor) return;
    const { left, bottom } = anchor.getBoundingClientRect();
    if (left !== this.anchorPosition[0] || bottom !== this.anchorPosition[1]) {
      const current = host.find();
      if (current && (!this.wasVisible || isVisible(current, host.box, this.root))) this.placeBeside(current);
      else host.hide();
    }
    if (this.anchor) this.frameRequest ||= requestAnimationFrame(this.followAnchor);
  };

  private placeBeside(anchor: HTMLElement): void {
    const bounds = anchor.getBoundingClientRect();
    this.anchor = anchor;
    this.anchorPosition = [bounds.left, bounds.bottom];
    this.wasVisible = isVisible(anchor, this.host.box, this.root);
    this.frameRequest ||= requestAnimationFrame(this.followAnchor);
    const own = this.root.getBoundingClientRect();
    const left = Math.max(GAP, Math.min(bounds.left, window.innerWidth - own.width - GAP));
    const below = bounds.bottom + GAP;
    const above = bounds.top - own.height - GAP;
    const top = below + own.height <= window.innerHeight || above < GAP ? below : above;
    this.root.style.left = `${left}px`;
    this.root.style.top = `${Math.max(GAP, Math.min(top, window.innerHeight - own.height - GAP))}px`;
  }
}
