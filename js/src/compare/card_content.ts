// The card of a comparison: what each response has at a place, with what it weighed there, side by side.

import { percent } from "../data/scale.ts";
import { CardContent, renderContent } from "../ui/card.ts";
import { element } from "../ui/dom.ts";
import { type Comparison, LETTERS, type Place } from "./alignment.ts";

/** So many tokens of a span are named. */
const NAMED = 12;

/** A difference for people, always with its sign. */
export function signed(nats: number): string {
  if (Number.isNaN(nats)) return "unknown";
  const text = Math.abs(nats).toFixed(2);
  return text === "0.00" ? "±0" : `${nats < 0 ? "−" : "+"}${text}`;
}

/** What a difference amounts to, in words. */
export function inWords(nats: number, other: string): string {
  if (Number.isNaN(nats)) return "by an unknown amount";
  const times = Math.exp(Math.abs(nats));
  if (times < 1.005) return `as probable as ${other} does`;
  const told =
    times >= 1000 ? times.toExponential(0).replace("e+", "e") : times.toPrecision(times < 10 ? 2 : 3);
  return `${told} times ${nats > 0 ? "as probable as" : "less probable than"} ${other} does`;
}

/** The token of a response that faces one of another: of the same span, as far along in it; null where it has none. */
export function facing(comparison: Comparison, place: Place, side: number): Place | null {
  if (side === place.side) return place;
  const span = comparison.spanWith(place, side);
  if (span === null) return null;
  const [from, to] = comparison.within(span, side);
  if (to <= from) return null;
  if (!comparison.isCommonSpan(span)) return { side, token: from };
  const [ownFrom, ownTo] = comparison.within(span, place.side);
  return { side, token: from + Math.floor(((place.token - ownFrom) / (ownTo - ownFrom)) * (to - from)) };
}

/** The responses that a place is compared with, itself among them. */
export function compared(comparison: Comparison, place: Place): number[] {
  return place.side === 0 ? comparison.stores.map((_, side) => side) : [0, place.side];
}

/** What a screen reader says of a place. */
export function spoken(comparison: Comparison, names: string[], place: Place): string {
  const reading = read(comparison, place);
  const told = [`${names[place.side]}, ${reading.spoken}`];
  if (!comparison.isCommon(place)) told.push("only here");
  else {
    const difference = comparison.difference(place);
    told.push(`difference ${signed(difference)} nats`);
  }
  for (const side of compared(comparison, place)) {
    const other = facing(comparison, place, side);
    if (side === place.side || !other) continue;
    const store = comparison.stores[side];
    const chance = percent(Math.exp(store?.logprob[other.token] ?? Number.NaN));
    told.push(`${names[side]} has ${store?.label(other.token)}, ${chance}`);
  }
  return told.join("; ");
}

/** The elements of a card. */
export function faces(comparison: Comparison, names: string[], place: Place): HTMLElement[] {
  const head = element("div", "deluge-card-head");
  const common = comparison.isCommon(place);
  const difference = comparison.difference(place);
  const letter = LETTERS[place.side] ?? "";
  const side = place.side ? 0 : 1;
  const other = LETTERS[side] ?? "";
  const fact = element("strong", "", common ? `${signed(difference)} nats` : `only in ${letter}`);
  const has = facing(comparison, place, side) ? "other words" : "nothing";
  const told = common ? `${letter} calls it ${inWords(difference, other)}` : `${other} has ${has} here`;
  head.append(element("span", "deluge-verdict", told), fact);
  const made = [head];
  const span = comparison.spanOf(place);
  const parting = comparison.partings.find((one) => one?.span === span);
  const first = comparison.within(span, place.side)[0] === place.token;
  if (parting && first) {
    const bound =
      parting.js === null
        ? ""
        : `; their distributions differ by at least ${parting.js.toFixed(3)} nats (Jensen-Shannon)`;
    made.push(element("div", "deluge-card-facts", `here the texts part${bound}`));
  }
  const columns = element("div", "deluge-faces");
  for (const side of compared(comparison, place)) columns.append(face(comparison, names, place, side));
  return [...made, columns];
}

function face(comparison: Comparison, names: string[], place: Place, side: number): HTMLElement {
  const made = element("div", "deluge-face");
  const name = element("div", "deluge-face-name");
  name.append(badge(side), element("span", "", names[side]));
  made.append(name);
  const other = facing(comparison, place, side);
  if (!other) {
    made.append(element("div", "deluge-card-facts", "has nothing here"));
    return made;
  }
  const store = comparison.stores[side];
  const span = (side === place.side ? null : comparison.spanWith(place, side)) ?? comparison.spanOf(place);
  const [from, to] = comparison.within(span, side);
  if (store && comparison.isCommonSpan(span) && to - from > 1) {
    let sum = 0;
    for (let token = from; token < to; token++) sum += store.logprob[token] ?? Number.NaN;
    const labels = Array.from({ length: Math.min(NAMED, to - from) }, (_, at) => store.label(from + at));
    const more = to - from > NAMED ? "…" : "";
    const whole = element("div", "deluge-card-facts", `${to - from} tokens together: `);
    whole.append(element("code", "", `${labels.join("|")}${more}`), ` ${percent(Math.exp(sum))}`);
    made.append(whole);
  }
  made.append(...renderContent(read(comparison, other), null));
  return made;
}

/** The letter of a response, in the colour of its line. */
export function badge(side: number): HTMLElement {
  const made = element("span", "deluge-swatch", LETTERS[side]);
  made.dataset["side"] = String(side);
  return made;
}

function read(comparison: Comparison, { side, token }: Place): CardContent {
  const store = comparison.stores[side];
  if (!store) throw new RangeError(`there is no response ${side}`);
  store.requestMeasures();
  return new CardContent(store, token, store.alternatives(token), 1);
}
