// The headings above the columns, and the legend of the colours of differences.

import { element } from "../ui/dom.ts";
import type { Alignment } from "./alignment.ts";
import { afterLetter, badge } from "./letters.ts";

/**
 * For each response its letter, its name, and what its tokens add up to. If the lines are interleaved, the names share one
 * line and the rest is below the text.
 */
export class Headings {
  readonly root = element("div", "deluge-heads");
  readonly below = element("div", "deluge-facts");
  #facts: HTMLElement[] = [];
  readonly #note = element("div", "deluge-fact");
  #isInterleaved = false;

  /** Say below the text what a narrow head has no room for. */
  showNote(text: string): void {
    this.#note.textContent = text;
  }

  show(names: string[], summaries: string[]): void {
    this.root.style.setProperty("--sides", String(names.length));
    this.#facts = names.map((_, side) => element("span", "deluge-head-facts", summaries[side] ?? ""));
    this.root.replaceChildren(...names.map((name, side) => namedBadge(name, side)));
    this.#place();
  }

  arrange(isInterleaved: boolean): void {
    if (isInterleaved === this.#isInterleaved) return;
    this.#isInterleaved = isInterleaved;
    this.#place();
  }

  #place(): void {
    const rows = this.#isInterleaved
      ? this.#facts.map((facts, side) => {
          const row = element("div", "deluge-fact");
          row.append(badge(side), facts);
          return row;
        })
      : [];
    this.below.replaceChildren(...rows, ...(this.#isInterleaved ? [this.#note] : []));
    if (!this.#isInterleaved)
      this.#facts.forEach((facts, side) => {
        this.root.children[side]?.append(facts);
      });
  }
}

function namedBadge(given: string, side: number): HTMLElement {
  const heading = element("div", "deluge-head");
  const name = element("span", "deluge-name", afterLetter(given, side));
  name.title = given;
  heading.append(badge(side), name);
  return heading;
}

/** Blue with a line above where a response is surer, orange with a line below where it is less sure. */
export function differenceLegend({ cap, steps }: Alignment): HTMLElement {
  const root = element("div", "deluge-legend deluge-differences");
  const ramp = element("div", "deluge-ramp");
  const ticks = element("div", "deluge-ticks");
  // There is no room for the steps between the middle and the ends.
  for (const [text, value] of steps.filter(([, value]) => !value || Math.abs(value) >= cap)) {
    const tick = element("span", "", text);
    tick.style.left = `${((value + cap) / (2 * cap)) * 100}%`;
    if (value <= -cap) tick.className = "deluge-first";
    if (value >= cap) tick.className = "deluge-last";
    ticks.append(tick);
  }
  ramp.append(ticks);
  root.append(
    element("span", "deluge-word", "less sure"),
    ramp,
    element("span", "deluge-word", "surer (nats)"),
    element("span", "deluge-token deluge-only", "only here"),
  );
  root.setAttribute("role", "img");
  root.setAttribute(
    "aria-label",
    "Orange, line below: less probable in this response. Blue, line above: more probable. Dashed: only in this response",
  );
  return root;
}
