// The bar above the text of a view: colours, surprises, search, and how the text is drawn.

import { pluralize } from "../data/format.ts";
import type { ColorBy } from "../data/scale.ts";
import { onChange, setTrait } from "../host/traits.ts";
import { Bar, group } from "../ui/bar.ts";
import { displaySettings } from "../ui/display_settings.ts";
import { button, dropdown, input } from "../ui/dom.ts";
import type { Legend } from "../ui/legend.ts";
import { menu, setting } from "../ui/menu.ts";
import type { SearchPanel } from "../ui/search_panel.ts";
import type { Model } from "./model.ts";
import type { Surprises } from "./surprises.ts";

const COLORS: ColorBy[] = ["probability", "surprisal", "entropy", "margin", "rank"];

/** The widths from which on all controls fit into one line, without the summary and with it: px. */
const WIDE = 700;
const ROOMY = 920;

export class Toolbar extends Bar {
  readonly #listButton = button("", "List of surprises", () => this.surprises.toggleList());
  readonly #steps: HTMLElement;

  constructor(
    private readonly model: Model,
    legend: Legend,
    private readonly search: SearchPanel,
    private readonly surprises: Surprises,
    signal: AbortSignal,
  ) {
    super(ROOMY);
    const color = dropdown("Colour by", COLORS, (value) => {
      // The limits are values of the old scale.
      model.set("limits", []);
      setTrait(model, "color_by", value as ColorBy);
    });
    this.#steps = this.#createSteps();
    this.fill(
      [{ controls: group(setting("colour by", color), legend.root), wide: WIDE }],
      [this.#steps, search.root],
      menu("Display", () => [...displaySettings(model, signal), this.#createThreshold(signal)], signal),
    );
    const update = () => {
      color.value = model.get("color_by");
    };
    update();
    onChange(model, ["color_by"], update, signal);
  }

  #createSteps(): HTMLElement {
    return group(
      button("‹", "Previous surprise (p)", () => this.surprises.step(-1)),
      this.#listButton,
      button("›", "Next surprise (n)", () => this.surprises.step(1)),
    );
  }

  #createThreshold(signal: AbortSignal): HTMLElement {
    const { model } = this;
    const threshold = input({ type: "number", min: "0.01", max: "100", step: "any" });
    threshold.addEventListener("change", () => {
      const value = Number(threshold.value);
      if (value > 0 && value <= 100) setTrait(model, "threshold", value / 100);
    });
    const update = () => {
      threshold.value = String(Number((model.get("threshold") * 100).toPrecision(6)));
    };
    update();
    onChange(model, ["threshold"], update, signal);
    return setting("surprise threshold (%)", threshold);
  }

  /** Show the controls for surprises and search, which a text that is seen at a glance does without. */
  showTools(isShown: boolean): void {
    this.#steps.hidden = !isShown;
    this.search.keep(isShown);
  }

  showSurprises(count: number, threshold: string, isListOpen: boolean): void {
    const text = pluralize(count, "surprise");
    this.#listButton.textContent = text;
    this.#listButton.title = `Tokens below ${threshold} (s)`;
    this.#listButton.setAttribute("aria-label", `${text} (tokens below ${threshold}): show list`);
    this.#listButton.setAttribute("aria-expanded", String(isListOpen));
  }
}
