// The content of a comparison's card: what each response has in the same part of the text, side by side.

import { NO_SAMPLER, type SamplerSettings } from "../data/cuts.ts";
import { percent, signedNats } from "../data/format.ts";
import { CardContent, type ContentActions, renderContent } from "../ui/card_content.ts";
import { element } from "../ui/dom.ts";
import type { Alignment, TokenRef } from "./alignment.ts";
import { afterLetter, badge, LETTERS } from "./letters.ts";

/** A smaller ratio of two probabilities is not worth a number. */
const ALIKE = 1.1;
/** Tokens of a span that are listed. */
const MAX_LISTED = 12;

/** Describe the difference between two responses as a ratio of probabilities. */
export function describeDifference(nats: number, letter: string, other: string): string {
  if (Number.isNaN(nats)) return "unknown difference";
  const ratio = Math.exp(Math.abs(nats));
  if (ratio < ALIKE) return `about as probable in ${letter} as in ${other}`;
  const text =
    ratio >= 10_000
      ? ratio.toExponential(1).replace("e+", "e")
      : Number(ratio.toPrecision(2)).toFixed(ratio < 9.95 ? 1 : 0);
  return nats > 0
    ? `${text} times as probable in ${letter} as in ${other}`
    : `${text} times less probable in ${letter} than in ${other}`;
}

/** The token of another response that stands opposite: in the same span, equally far along; null if there is none. */
export function counterpart(alignment: Alignment, ref: TokenRef, side: number): TokenRef | null {
  if (side === ref.side) return ref;
  const span = alignment.spanWith(ref, side);
  if (span === null) return null;
  const [from, to] = alignment.rangeIn(span, side);
  if (to <= from) return null;
  if (!alignment.isCommonSpan(span)) return { side, token: from };
  const [ownFrom, ownTo] = alignment.rangeIn(span, ref.side);
  return { side, token: from + Math.floor(((ref.token - ownFrom) / (ownTo - ownFrom)) * (to - from)) };
}

/** The responses that a token is compared with, including its own. */
export function comparedSides(alignment: Alignment, ref: TokenRef): number[] {
  return ref.side === 0 ? alignment.stores.map((_, side) => side) : [0, ref.side];
}

/** The text for screen readers. */
export function spokenText(
  alignment: Alignment,
  names: string[],
  ref: TokenRef,
  sampler: SamplerSettings,
): string {
  const content = contentOf(alignment, ref, sampler);
  const facts = [`${names[ref.side]}, ${content.spoken}`];
  if (!alignment.isCommon(ref)) facts.push("only here");
  else {
    const difference = alignment.difference(ref);
    facts.push(`difference ${signedNats(difference)} nats`);
  }
  for (const side of comparedSides(alignment, ref)) {
    const other = counterpart(alignment, ref, side);
    if (side === ref.side || !other) continue;
    const store = alignment.stores[side];
    const probability = percent(Math.exp(store?.logprob[other.token] ?? Number.NaN));
    facts.push(`${names[side]} has ${store?.label(other.token)}, ${probability}`);
  }
  return facts.join("; ");
}

/** The elements of a card. */
export function renderComparison(
  alignment: Alignment,
  names: string[],
  ref: TokenRef,
  sampler: SamplerSettings,
  limit: number | undefined,
  actions: ContentActions,
): HTMLElement[] {
  const head = element("div", "deluge-card-head");
  const isCommon = alignment.isCommon(ref);
  const difference = alignment.difference(ref);
  const letter = LETTERS[ref.side] ?? "";
  const otherSide = ref.side ? 0 : 1;
  const other = LETTERS[otherSide] ?? "";
  const fact = element("strong", "", isCommon ? `${signedNats(difference)} nats` : `only in ${letter}`);
  const has = counterpart(alignment, ref, otherSide) ? "different text" : "nothing";
  const verdict = isCommon ? describeDifference(difference, letter, other) : `${other} has ${has} here`;
  head.append(element("span", "deluge-verdict", verdict), fact);
  const children = [head];
  const span = alignment.spanOf(ref);
  const parting = alignment.partings.find((candidate) => candidate?.span === span);
  const isFirst = alignment.rangeIn(span, ref.side)[0] === ref.token;
  if (parting && isFirst) {
    const bound =
      parting.js === null
        ? ""
        : `; the distributions differ by at least ${parting.js.toFixed(3)} nats (Jensen-Shannon)`;
    children.push(element("div", "deluge-card-facts", `the texts diverge here${bound}`));
  }
  const columns = element("div", "deluge-faces");
  for (const side of comparedSides(alignment, ref)) {
    const root = renderSide(alignment, names, ref, side);
    const other = counterpart(alignment, ref, side);
    if (other) root.append(...renderContent(contentOf(alignment, other, sampler, limit), actions));
    columns.append(root);
  }
  return [...children, columns];
}

/** What is said of a response above the content of its token. */
function renderSide(alignment: Alignment, names: string[], ref: TokenRef, side: number): HTMLElement {
  const root = element("div", "deluge-face");
  const name = element("div", "deluge-face-name");
  name.append(badge(side), element("span", "", afterLetter(names[side] ?? "", side)));
  root.append(name);
  const other = counterpart(alignment, ref, side);
  if (!other) {
    root.append(element("div", "deluge-card-facts", "nothing here"));
    return root;
  }
  const store = alignment.stores[side];
  const span = (side === ref.side ? null : alignment.spanWith(ref, side)) ?? alignment.spanOf(ref);
  const [from, to] = alignment.rangeIn(span, side);
  if (store && alignment.isCommonSpan(span) && to - from > 1) {
    let sum = 0;
    for (let token = from; token < to; token++) sum += store.logprob[token] ?? Number.NaN;
    const labels = Array.from({ length: Math.min(MAX_LISTED, to - from) }, (_, index) =>
      store.label(from + index),
    );
    const more = to - from > MAX_LISTED ? "…" : "";
    const whole = element("div", "deluge-card-facts", `${to - from} tokens together: `);
    whole.append(element("code", "", `${labels.join("|")}${more}`), ` ${percent(Math.exp(sum))}`);
    root.append(whole);
  }
  return root;
}

export function contentOf(
  alignment: Alignment,
  { side, token }: TokenRef,
  sampler: SamplerSettings = NO_SAMPLER,
  limit?: number,
): CardContent {
  const store = alignment.stores[side];
  if (!store) throw new RangeError(`there is no response ${side}`);
  store.requestMeasures();
  return new CardContent(store, token, store.alternatives(token), sampler, limit);
}
