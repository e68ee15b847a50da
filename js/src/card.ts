// The card of a token: what the model weighed there.

import type { Alternative, Tokens } from "./columns.ts";
import { element, percent } from "./dom.ts";

const GAP = 6;

export class Card {
  readonly root = element("div", "deluge-card");
  token: number | null = null;

  constructor(private readonly tokens: Tokens) {
    // The top layer: neither a scrolling box nor a notebook's output area cuts it off.
    this.root.setAttribute("popover", "manual");
    this.root.setAttribute("aria-hidden", "true");
    this.root.hidden = typeof this.root.showPopover !== "function";
  }

  /** Show a token's card beside its element. */
  show(token: number, alternatives: Alternative[] | undefined, anchor: HTMLElement): void {
    this.token = token;
    this.root.replaceChildren(...this.content(token, alternatives));
    if (typeof this.root.showPopover === "function") {
      if (!this.root.matches(":popover-open")) this.root.showPopover();
    } else this.root.hidden = false;
    this.place(anchor);
  }

  hide(): void {
    this.token = null;
    if (typeof this.root.hidePopover === "function") {
      if (this.root.matches(":popover-open")) this.root.hidePopover();
    } else this.root.hidden = true;
  }

  /** What a screen reader says of a token. */
  spoken(token: number, alternatives: Alternative[] | undefined): string {
    const { labels, labelAt, logprob, count } = this.tokens;
    const own = `${labels[labelAt[token] ?? 0]}, ${percent(Math.exp(logprob[token] ?? Number.NaN))}`;
    const others = (alternatives ?? [])
      .filter((one) => !one.chosen)
      .slice(0, 3)
      .map((one) => `${one.label} ${percent(Math.exp(one.logprob))}`);
    const rest = others.length ? `; also weighed: ${others.join(", ")}` : "";
    return `token ${token + 1} of ${count}: ${own}, ${this.rank(token)}${rest}`;
  }

  private place(anchor: HTMLElement): void {
    const at = anchor.getBoundingClientRect();
    const own = this.root.getBoundingClientRect();
    const left = Math.max(GAP, Math.min(at.left, window.innerWidth - own.width - GAP));
    const below = at.bottom + GAP;
    const above = at.top - own.height - GAP;
    const top = below + own.height <= window.innerHeight || above < GAP ? below : above;
    this.root.style.left = `${left}px`;
    this.root.style.top = `${Math.max(GAP, Math.min(top, window.innerHeight - own.height - GAP))}px`;
  }

  private rank(token: number): string {
    const rank = this.tokens.rank[token] ?? 0;
    if (!rank) return "no alternatives";
    return this.tokens.listed[token] ? `rank ${rank}` : `not among the ${rank - 1} likeliest`;
  }

  private content(token: number, alternatives: Alternative[] | undefined): Node[] {
    const { labels, labelAt, logprob, entropy, entropyMost, tail, offsets } = this.tokens;
    const known = logprob[token] ?? Number.NaN;
    const head = element("div", "deluge-card-head");
    head.append(
      element("code", "", labels[labelAt[token] ?? 0] ?? ""),
      element("strong", "", percent(Math.exp(known))),
    );
    const told = [
      this.rank(token),
      Number.isNaN(known) ? "log-probability withheld" : `logprob ${known.toFixed(3)} nats`,
    ];
    const least = entropy[token] ?? Number.NaN;
    const most = entropyMost[token] ?? Number.NaN;
    if (!Number.isNaN(least)) {
      // The hidden rest of the distribution leaves an interval, or where its size is not known a lower bound.
      let range = least.toFixed(2);
      if (!Number.isFinite(most)) range = `≥ ${range}`;
      else if (most - least >= 0.005) range += ` – ${most.toFixed(2)}`;
      told.push(`entropy ${range} bits`);
    }
    const facts = element("div", "deluge-card-facts", told.join(" · "));
    if (!alternatives)
      return [head, facts, element("div", "deluge-card-facts", "fetching the alternatives …")];
    if ((offsets[token + 1] ?? 0) === (offsets[token] ?? 0)) return [head, facts];
    const list = element("div", "deluge-card-list");
    for (const one of alternatives.slice(0, 20)) {
      list.append(...this.row(one.label, Math.exp(one.logprob), one.chosen ? "deluge-own" : ""));
    }
    if (!this.tokens.listed[token]) {
      list.append(...this.row(labels[labelAt[token] ?? 0] ?? "", Math.exp(known), "deluge-own"));
    }
    const cut = alternatives
      .slice(20)
      .reduce((sum, one) => sum + (Number.isNaN(one.logprob) ? 0 : Math.exp(one.logprob)), 0);
    const hidden = (tail[token] ?? 0) + cut;
    if (hidden >= 5e-5) list.append(...this.row("other tokens", hidden, "deluge-rest"));
    return [head, facts, list];
  }

  private row(label: string, probability: number, kind: string): HTMLElement[] {
    const name = element("code", kind, label);
    const bar = element("span", `deluge-rail ${kind}`);
    const fill = element("span", "deluge-fill");
    fill.style.width = `${Number.isNaN(probability) ? 0 : Math.min(1, probability) * 100}%`;
    bar.append(fill);
    return [name, bar, element("span", `deluge-percent ${kind}`, percent(probability))];
  }
}
