// What stands above the columns: whose they are, and what their tokens come to.

import { element } from "../dom.ts";
import { many, perplexity, summed } from "../tally.ts";
import type { Comparison } from "./comparison.ts";
import { badge } from "./facing.ts";

export function heads(comparison: Comparison, names: string[]): HTMLElement[] {
  return comparison.stores.map((store, side) => {
    const head = element("div", "deluge-head");
    const [sum, known] = summed(store, 0, store.count);
    const facts = [many(store.count)];
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
