// The headings above the columns, and the legend of the colours of differences.

import { element } from "../ui/dom.ts";
import type { Alignment } from "./alignment.ts";
import { afterLetter, badge } from "./letters.ts";

/** For each response its letter, its name, and what its tokens add up to. */
export function renderHeadings(names: string[], summaries: string[]): HTMLElement[] {
  return names.map((given, side) => {
    const heading = element("div", "deluge-head");
    const name = element("span", "deluge-name", afterLetter(given, side));
    name.title = given;
    heading.append(badge(side), name, element("span", "deluge-head-facts", summaries[side] ?? ""));
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
