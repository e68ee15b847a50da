// The lines that sum up all tokens, kept up to date in idle time, and the selected range.

import type { ColorBy } from "../data/scale.ts";
import type { Store } from "../data/store.ts";
import { describeRange, Summary } from "../data/summary.ts";
import { needsMeasures } from "../data/token_values.ts";
import { element } from "../ui/dom.ts";
import { IdleTask } from "../ui/idle_tasks.ts";

export class SummaryLine {
  /** The line of the selected range. */
  readonly range = element("div", "deluge-ranged-sum");
  readonly #summary: Summary;
  readonly #task: IdleTask;

  constructor(
    private readonly store: Store,
    private readonly show: (text: string) => void,
    signal: AbortSignal,
  ) {
    this.#summary = new Summary(store);
    this.#task = new IdleTask(signal);
  }

  /** Tokens from `first` on have changed. */
  invalidate(first: number): void {
    this.#summary.invalidate(first);
  }

  /** Show what the tokens add up to, in the measure that they are coloured by, and those of the selected range. */
  update(colorBy: ColorBy, range: [number, number] | null): void {
    this.range.textContent = range ? describeRange(this.store, range, colorBy) : "";
    this.#summary.prepare(colorBy);
    const { count, silence } = this.store;
    const isMissing = needsMeasures(colorBy) && !this.store.isMeasured(count - 1);
    const missing = isMissing && silence() ? ` · ${colorBy}: ${silence()}` : "";
    const showNow = () => this.show(`${this.#summary.describe(colorBy)}${missing}`);
    showNow();
    if (!this.#summary.done) this.#task.start(this.#summary.run(), showNow);
  }
}
