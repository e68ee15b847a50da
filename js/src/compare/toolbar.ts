// The bar above the text of a comparison: colours, arrangement, measure of the chart, and stepping through differences.

import { pluralize } from "../data/format.ts";
import { onChange, setTrait } from "../host/traits.ts";
import { Bar, group } from "../ui/bar.ts";
import { displaySettings } from "../ui/display_settings.ts";
import { button, dropdown, element, input } from "../ui/dom.ts";
import { menu, setting } from "../ui/menu.ts";
import type { Arrange, ChartMeasure, CompareBy, Model } from "./model.ts";

const COLORS: CompareBy[] = ["difference", "probability", "surprisal", "entropy", "margin", "rank"];
const ARRANGEMENTS: Arrange[] = ["side by side", "interleaved"];
const MEASURES = [
  ["logprob", "log-probability"],
  ["entropy", "entropy"],
] as const;

/** The widths from which on colours and arrangement fit into one line with the other controls: px. */
const WIDE = 880;
const WIDER = 1120;

export class Toolbar extends Bar {
  readonly #differenceCount = element("span", "deluge-count");

  constructor(
    private readonly model: Model,
    legends: HTMLElement[],
    private readonly goToDifference: (by: 1 | -1) => void,
    tools: HTMLElement | null,
    signal: AbortSignal,
  ) {
    super(Number.POSITIVE_INFINITY);
    const color = dropdown("Colour by", COLORS, (value) => setTrait(model, "color_by", value as CompareBy));
    const arrange = dropdown("Arrange", ARRANGEMENTS, (value) =>
      setTrait(model, "arrange", value as Arrange),
    );
    const measure = dropdown("Chart of", MEASURES, (value) =>
      setTrait(model, "measure", value as ChartMeasure),
    );
    const threshold = this.#createThreshold();
    this.fill(
      [
        { controls: group(setting("colour by", color), ...legends), wide: WIDE },
        { controls: group(setting("arrange", arrange), setting("chart of", measure)), wide: WIDER },
      ],
      [this.#createSteps(threshold)],
      menu("Display", () => displaySettings(model, signal), signal),
    );
    if (tools) this.head.append(tools);
    const update = () => {
      color.value = model.get("color_by");
      arrange.value = model.get("arrange");
      measure.value = model.get("measure");
      threshold.value = String(model.get("threshold"));
    };
    update();
    onChange(model, ["color_by", "arrange", "measure", "threshold"], update, signal);
  }

  showDifferences(count: number): void {
    this.#differenceCount.textContent = pluralize(count, "difference");
  }

  #createThreshold(): HTMLInputElement {
    const threshold = input({ type: "number", min: "0", step: "0.1", className: "deluge-threshold" });
    threshold.title = "Differences: more than this many nats, or different text";
    threshold.setAttribute("aria-label", "Difference threshold (nats)");
    threshold.addEventListener("change", () => {
      const value = Number(threshold.value);
      if (value >= 0 && Number.isFinite(value)) setTrait(this.model, "threshold", value);
    });
    return threshold;
  }

  #createSteps(threshold: HTMLInputElement): HTMLElement {
    return group(
      button("‹", "Previous difference (p)", () => this.goToDifference(-1)),
      this.#differenceCount,
      button("›", "Next difference (n)", () => this.goToDifference(1)),
      group(setting("above", threshold), element("span", "", "nats")),
    );
  }
}
