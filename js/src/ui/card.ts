// The card of a token: what the model weighed there, and what another temperature would make of it.

import { percent } from "../data/scale.ts";
import type { Alternative, Store } from "../data/store.ts";
import { atTemperature, type TemperatureBounds } from "../data/temperature.ts";
import { button, element } from "./dom.ts";
import { isSeen } from "./shell.ts";

const GAP = 6;
/** So many alternatives have a row; the others are part of the last one. */
const ROWS = 20;
/** So many bytes of a token are told. */
const BYTES = 32;

export interface Hooks {
  /** Continue from an alternative, by its place in the list; null where there is no choosing. */
  branch: ((token: number, place: number) => void) | null;
  /** Why there is none; empty where nothing need be said. */
  whyNot: string;
}

/** A row of a card. */
interface Row {
  name: string;
  /** Among the alternatives; -1 for what is not one of them. */
  place: number;
  /** Nats, at temperature 1; NaN where not told. */
  logprob: number;
  bounds: [number, number];
  kind: "" | "deluge-own" | "deluge-rest";
  rank: string;
}

/** What a card says, before there is an element. */
export class Reading {
  readonly label: string;
  readonly logprob: number;
  readonly rows: Row[] = [];

  constructor(
    private readonly store: Store,
    readonly token: number,
    readonly alternatives: Alternative[] | undefined,
    readonly temperature: number,
  ) {
    this.label = store.label(token);
    this.logprob = store.logprob[token] ?? Number.NaN;
    if (alternatives?.length) this.rows = this.read(alternatives);
  }

  get rank(): string {
    const { measures } = this.store;
    const rank = measures?.rank[this.token];
    if (rank === undefined) return "";
    if (!rank) return "no alternatives";
    return measures?.listed[this.token] ? `rank ${rank}` : `not among the ${rank - 1} likeliest`;
  }

  /** The interval that the hidden rest of the distribution leaves, or where its size is not known a lower bound. */
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
    const known = this.logprob;
    const told = Number.isNaN(known) ? "log-probability withheld" : `logprob ${known.toFixed(3)} nats`;
    return [this.rank, told, this.entropy].filter(Boolean);
  }

  /** Its id in the model's vocabulary, and its bytes. */
  get nature(): string {
    const { id, source, label } = this.store.text(this.store.labelAt[this.token] ?? 0);
    // Cut as bytes, or a letter of two halves might be cut in its middle.
    const all = new TextEncoder().encode(source.slice(0, 2 * BYTES));
    const octets = source
      ? Array.from(all.subarray(0, BYTES), (one) => one.toString(16).padStart(2, "0")).join(" ")
      : label.replace(/[⟨⟩]/g, "").toLowerCase();
    const more = all.length > BYTES ? " …" : "";
    return [id >= 0 ? `id ${id}` : "", octets === "∅" ? "no bytes" : `bytes ${octets}${more}`]
      .filter(Boolean)
      .join(" · ");
  }

  /** As tab-separated lines, to be pasted into a table. */
  get table(): string {
    const lines = this.rows.map((row) => {
      const text = row.place < 0 ? row.name : (this.sourceOf(row.place) ?? row.name);
      const logprob = Number.isNaN(row.logprob) ? "" : String(Number(row.logprob.toPrecision(7)));
      const [low, high] = row.bounds.map((bound) => Number(bound.toPrecision(6)));
      return [JSON.stringify(text), row.rank, logprob, low, high].join("\t");
    });
    return ["token\trank\tlogprob\tprobability_lower\tprobability_upper", ...lines].join("\n");
  }

  /** What a screen reader says. */
  get spoken(): string {
    const others = this.rows
      .filter((row) => !row.kind)
      .slice(0, 3)
      .map((row) => `${row.name} ${between(row.bounds)}`);
    const own = this.rows.find((row) => row.kind === "deluge-own");
    const chance = own ? between(own.bounds) : percent(Math.exp(this.logprob));
    const rest = others.length ? `; also weighed: ${others.join(", ")}` : "";
    const rank = this.rank ? `, ${this.rank}` : "";
    return `token ${this.token + 1} of ${this.store.count}: ${this.label}, ${chance}${rank}${rest}`;
  }

  private sourceOf(place: number): string | undefined {
    const text = this.alternatives?.[place]?.textIndex;
    return text === undefined ? undefined : this.store.text(text).source || undefined;
  }

  private read(alternatives: Alternative[]): Row[] {
    const told = alternatives.filter((one) => !Number.isNaN(one.logprob));
    const listed = told.some((one) => one.chosen) || alternatives.some((one) => one.chosen);
    const extra = listed || Number.isNaN(this.logprob) ? null : this.logprob;
    const { vocabSize, measures } = this.store;
    const logprobs = told.map((one) => one.logprob);
    const weighed: TemperatureBounds = atTemperature(logprobs, this.temperature, vocabSize, extra);
    const places = new Map(told.map((one, at) => [one, at]));
    const order = [...logprobs].sort((a, b) => b - a);
    const bounds = (at: number): [number, number] => [
      weighed.lower[at] ?? Number.NaN,
      weighed.upper[at] ?? Number.NaN,
    ];
    const rows = alternatives.map((one, place): Row => {
      const at = places.get(one);
      return {
        name: one.label,
        place,
        logprob: one.logprob,
        bounds: at === undefined ? [Number.NaN, Number.NaN] : bounds(at),
        kind: one.chosen ? "deluge-own" : "",
        rank: at === undefined ? "" : String(order.indexOf(one.logprob) + 1),
      };
    });
    const shown = rows.filter((row, at) => at < ROWS || row.kind);
    const cut = rows.filter((row) => !shown.includes(row));
    if (!listed) {
      shown.push({
        name: this.label,
        place: -1,
        logprob: this.logprob,
        bounds: extra === null ? [Number.NaN, Number.NaN] : bounds(told.length),
        kind: "deluge-own",
        rank: `> ${alternatives.length}`,
      });
    }
    // Where it is known to more digits than single precision leaves in a difference from 1, that is taken.
    const tail = measures?.tail[this.token];
    const [least, most] = this.temperature === 1 && tail !== undefined ? [tail, tail] : weighed.rest;
    const sum = (which: 0 | 1) => cut.reduce((total, row) => total + (row.bounds[which] || 0), 0);
    shown.push({
      name: "everything else",
      place: -1,
      logprob: Number.NaN,
      bounds: [Math.min(1, least + sum(0)), Math.min(1, most + sum(1))],
      kind: "deluge-rest",
      rank: "",
    });
    return shown;
  }
}

/** A probability, or the interval in which it is. */
export function between([low, high]: [number, number]): string {
  const [least, most] = [percent(low), percent(high)];
  return least === most ? least : `${least.replace(" %", "")} – ${most}`;
}

/** The elements of a card; rows can be chosen where there is something to choose for. */
export function content(reading: Reading, hooks: Hooks | null): HTMLElement[] {
  const head = element("div", "deluge-card-head");
  const own = reading.rows.find((row) => row.kind === "deluge-own");
  const chance = own ? between(own.bounds) : percent(Math.exp(reading.logprob));
  head.append(element("code", "", reading.label), element("strong", "", chance));
  const facts = element("div", "deluge-card-facts", reading.facts.join(" · "));
  const nature = element("div", "deluge-card-facts", reading.nature);
  if (!reading.alternatives) {
    return [head, facts, element("div", "deluge-card-facts", "fetching the alternatives …"), nature];
  }
  if (!reading.rows.length) return [head, facts, nature];
  const list = element("div", "deluge-card-list");
  if (reading.temperature !== 1) {
    facts.append(` · shown at temperature ${reading.temperature}`);
  }
  for (const row of reading.rows) {
    const place = row.place;
    const act = hooks?.branch && place >= 0 ? () => hooks.branch?.(reading.token, place) : null;
    list.append(line(row, act));
  }
  return [head, facts, list, nature];
}

function line(row: Row, act: (() => void) | null): HTMLElement {
  const made = act ? button("", "", act) : element("div");
  made.className = `deluge-row ${row.kind}`;
  const name = element("code", "", row.name);
  const rail = element("span", "deluge-rail");
  const [low, high] = row.bounds;
  if (high - low > 5e-5) {
    const pale = element("span", "deluge-fill deluge-pale");
    pale.style.width = `${Math.min(1, high) * 100}%`;
    rail.append(pale);
  }
  const fill = element("span", "deluge-fill");
  fill.style.width = `${Number.isNaN(low) ? 0 : Math.min(1, low) * 100}%`;
  rail.append(fill);
  const logprob = element("span", "deluge-logprob", Number.isNaN(row.logprob) ? "" : row.logprob.toFixed(2));
  const chance = element("span", "deluge-percent", between(row.bounds));
  made.append(element("span", "deluge-rank", row.rank), name, rail, chance, logprob);
  if (act) made.title = `Continue from ${row.name}`;
  return made;
}

/** What a card is in. */
export interface Holder {
  readonly box: HTMLElement;
  /** The element of the token whose card it is, where there is one. */
  find(): HTMLElement | null;
  hide(): void;
  /** As `hide`, and the focus goes back. */
  close(): void;
}

/** The card beside a token. It follows the pointer, or stays open where it was asked to. */
export class Card {
  readonly root = element("div", "deluge-card");
  token: number | null = null;
  open = false;
  private anchor: HTMLElement | null = null;
  /** Where the anchor was when the card was put beside it, and whether it was in sight. */
  private stood = [0, 0];
  private seen = false;
  private watching = 0;

  constructor(private readonly holder: Holder) {
    // The top layer: neither a scrolling box nor a notebook's output area cuts it off.
    this.root.setAttribute("popover", "manual");
    this.root.hidden = typeof this.root.showPopover !== "function";
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        this.holder.close();
        return;
      }
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        const all = [...this.root.querySelectorAll<HTMLElement>("button, input")];
        const at = all.indexOf(event.target as HTMLElement);
        if (at < 0 || (event.target as HTMLElement).tagName === "INPUT") return;
        event.preventDefault();
        all[(at + (event.key === "ArrowDown" ? 1 : all.length - 1)) % all.length]?.focus();
      }
      event.stopPropagation();
    });
  }

  show(token: number, children: HTMLElement[], anchor: HTMLElement, open: boolean): void {
    this.token = token;
    this.open = open;
    const focused = this.root.contains((this.root.getRootNode() as Document | ShadowRoot).activeElement);
    const at = focused
      ? [...this.root.querySelectorAll("button, input")].indexOf(this.active as Element)
      : -1;
    this.fill(children);
    this.root.classList.toggle("deluge-open", open);
    if (open) {
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
    this.place(anchor);
    if (at >= 0) this.root.querySelectorAll<HTMLElement>("button, input")[at]?.focus({ preventScroll: true });
  }

  /** What is there already and comes again stays where it is: a slider may be held. */
  private fill(children: HTMLElement[]): void {
    const held = children.find((one) => one.parentNode === this.root);
    if (!held) {
      this.root.replaceChildren(...children);
      return;
    }
    for (const one of [...this.root.children]) if (one !== held) one.remove();
    const at = children.indexOf(held);
    held.before(...children.slice(0, at));
    held.after(...children.slice(at + 1));
  }

  hide(): void {
    this.token = this.anchor = null;
    this.open = false;
    cancelAnimationFrame(this.watching);
    this.watching = 0;
    if (typeof this.root.hidePopover === "function") {
      if (this.root.matches(":popover-open")) this.root.hidePopover();
    } else this.root.hidden = true;
  }

  focus(): void {
    this.root.querySelector<HTMLElement>("button, input")?.focus({ preventScroll: true });
  }

  private get active(): Element | null {
    return (this.root.getRootNode() as Document | ShadowRoot).activeElement;
  }

  /**
   * Keep the card by its token, and away with it when that goes out of sight: what scrolls or grows anywhere on the page
   * moves it, and no event tells of all of that.
   */
  private readonly watch = (): void => {
    this.watching = 0;
    const { anchor, holder } = this;
    if (!anchor) return;
    const { left, bottom } = anchor.getBoundingClientRect();
    if (left !== this.stood[0] || bottom !== this.stood[1]) {
      const now = holder.find();
      if (now && (!this.seen || isSeen(now, holder.box, this.root))) this.place(now);
      else holder.hide();
    }
    if (this.anchor) this.watching ||= requestAnimationFrame(this.watch);
  };

  private place(anchor: HTMLElement): void {
    const at = anchor.getBoundingClientRect();
    this.anchor = anchor;
    this.stood = [at.left, at.bottom];
    this.seen = isSeen(anchor, this.holder.box, this.root);
    this.watching ||= requestAnimationFrame(this.watch);
    const own = this.root.getBoundingClientRect();
    const left = Math.max(GAP, Math.min(at.left, window.innerWidth - own.width - GAP));
    const below = at.bottom + GAP;
    const above = at.top - own.height - GAP;
    const top = below + own.height <= window.innerHeight || above < GAP ? below : above;
    this.root.style.left = `${left}px`;
    this.root.style.top = `${Math.max(GAP, Math.min(top, window.innerHeight - own.height - GAP))}px`;
  }
}
