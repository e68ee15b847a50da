// The bar above the text: what the colour says, how the responses are laid out, and going to where they differ.

import { pluralize } from "../data/format.ts";
import { onChange, setTrait } from "../host/traits.ts";
import { button, dropdown, element } from "../ui/dom.ts";
import type { Arrange, CompareBy, Measure, Model } from "./model.ts";

const COLORS: CompareBy[] = ["difference", "probability", "surprisal", "entropy", "margin", "rank"];
const ARRANGED: Arrange[] = ["side by side", "interleaved"];
const MEASURES = [
  ["logprob", "log-probability"],
  ["entropy", "entropy"],
] as const;

export class Toolbar {
  readonly root = element("div", "deluge-bar");
  readonly summary = element("span", "deluge-summary");
  private readonly found = element("span", "deluge-count");

  constructor(model: Model, legends: HTMLElement[], step: (by: 1 | -1) => void, signal: AbortSignal) {
    const color = dropdown(
      "Colour by",
      COLORS.map((one) => [one, one]),
      (value) => setTrait(model, "color_by", value as CompareBy),
    );
    const arrange = dropdown(
      "Arrange",
      ARRANGED.map((one) => [one, one]),
      (value) => setTrait(model, "arrange", value as Arrange),
    );
    const measure = dropdown("Chart of", MEASURES, (value) => setTrait(model, "measure", value as Measure));
    const threshold = element("input");
    threshold.type = "number";
    threshold.min = "0";
    threshold.step = "0.1";
    threshold.className = "deluge-threshold";
    threshold.title = "Differences are of more than so many nats, or of other words";
    threshold.setAttribute("aria-label", "Differences above, in nats");
    threshold.dataset["lmSuppressShortcuts"] = "true";
    threshold.addEventListener("change", () => {
      const value = Number(threshold.value);
      if (value >= 0 && Number.isFinite(value)) setTrait(model, "threshold", value);
    });
    const steps = element("span", "deluge-steps");
    steps.append(
      button("‹", "Previous difference (p)", () => step(-1)),
      button("›", "Next difference (n)", () => step(1)),
      this.found,
      element("span", "", " above "),
      threshold,
      element("span", "", " nats"),
    );
    this.root.append(color, ...legends, arrange, measure, steps, this.summary);
    const show = () => {
      color.value = model.get("color_by");
      arrange.value = model.get("arrange");
      measure.value = model.get("measure");
      threshold.value = String(model.get("threshold"));
    };
    show();
    onChange(model, ["color_by", "arrange", "measure", "threshold"], show, signal);
  }

  showDifferences(found: number): void {
    this.found.textContent = pluralize(found, "difference");
  }
}
