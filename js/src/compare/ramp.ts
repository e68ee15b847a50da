// What the colours of differences mean: blue and a line above where a response is surer, orange and a line below where
// it is less sure.

import { element } from "../dom.ts";
import type { Comparison } from "./comparison.ts";

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
