// What stands above the columns: whose they are, what their tokens come to, and what the colours of differences mean.

import { perplexity, pluralize, sumLogprobs } from "../data/summary.ts";
import { element } from "../ui/dom.ts";
import type { Comparison } from "./alignment.ts";
import { badge } from "./card_content.ts";

export function heads(comparison: Comparison, names: string[]): HTMLElement[] {
  return comparison.stores.map((store, side) => {
    const head = element("div", "deluge-head");
    const [sum, known] = sumLogprobs(store, 0, store.count);
    const facts = [pluralize(store.count)];
    if (known) facts.push(perplexity(sum, known));
    if (side > 1) facts.push(`${percentOf(comparison.share(side))} in common with A`);
    const letter = badge(side);
    // A name that is the letter on the badge would stand there twice.
    const name = names[side] === letter.textContent ? "" : names[side];
    head.append(
      letter,
      element("span", "deluge-name", name),
      element("span", "deluge-head-facts", facts.join(" · ")),
    );
    return head;
  });
}

export function percentOf(share: number): string {
  return `${(share * 100).toFixed(share > 0.995 && share < 1 ? 1 : 0)} %`;
}

/** Blue and a line above where a response is surer, orange and a line below where it is less sure. */
export function ramp({ cap, steps }: Comparison): HTMLElement {
  const root = element("div", "deluge-legend deluge-differences");
  const bar = element("div", "deluge-ramp");
  const ticks = element("div", "deluge-ticks");
  for (const [text, value] of steps) {
    const tick = element("span", "", text);
    tick.style.left = `${((value + cap) / (2 * cap)) * 100}%`;
    if (value <= -cap) tick.className = "deluge-first";
    if (value >= cap) tick.className = "deluge-last";
    ticks.append(tick);
  }
  ticks.append(element("span", "deluge-unit", "nats"));
  const words = element("div", "deluge-words");
  words.append(
    element("span", "", "less sure here"),
    element("span", "deluge-token deluge-only", "only here"),
    element("span", "", "surer here"),
  );
  root.append(bar, ticks, words);
  root.setAttribute("role", "img");
  root.setAttribute(
    "aria-label",
    "Orange with a line below: less probable in this response; blue with a line above: more probable; dashed: only in this response",
  );
  return root;
}
