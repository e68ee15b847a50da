// The headings above the columns, and the legend of the colours of differences.

import { formatPerplexity, percent, pluralize } from "../data/format.ts";
import { sumLogprobs } from "../data/summary.ts";
import { element } from "../ui/dom.ts";
import type { Alignment } from "./alignment.ts";
import { badge } from "./letters.ts";

/** For each response its letter, its name, and what its tokens add up to. */
export function renderHeadings(alignment: Alignment, names: string[]): HTMLElement[] {
  return alignment.stores.map((store, side) => {
    const heading = element("div", "deluge-head");
    const [sum, known] = sumLogprobs(store, 0, store.count);
    const facts = [pluralize(store.count)];
    if (known) facts.push(formatPerplexity(sum, known, store.count));
    if (side > 1) facts.push(`${percent(alignment.commonShare(side))} shared with A`);
    const letter = badge(side);
    // A name equal to the letter would appear twice.
    const name = names[side] === letter.textContent ? "" : names[side];
    heading.append(
      letter,
      element("span", "deluge-name", name),
      element("span", "deluge-head-facts", facts.join(" · ")),
    );
    return heading;
  });
}

/** Blue with a line above where a response is surer, orange with a line below where it is less sure. */
export function differenceLegend({ cap, steps }: Alignment): HTMLElement {
  const root = element("div", "deluge-legend deluge-differences");
  const ramp = element("div", "deluge-ramp");
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
  root.append(ramp, ticks, words);
  root.setAttribute("role", "img");
  root.setAttribute(
    "aria-label",
    "Orange, line below: less probable in this response. Blue, line above: more probable. Dashed: only in this response",
  );
  return root;
}
