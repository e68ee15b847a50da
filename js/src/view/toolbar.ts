// The bar above the text of a view: colours, surprises, search, and how the text is drawn.

import { pluralize } from "../data/format.ts";
import type { ColorBy } from "../data/scale.ts";
import { onChange, setTrait } from "../host/traits.ts";
import { button, dropdown, element, input } from "../ui/dom.ts";
import type { Legend } from "../ui/legend.ts";
import { menu } from "../ui/menu.ts";
import type { Model } from "./model.ts";

/** Actions of other parts of the view. */
export interface ToolbarActions {
  searchFor(query: string): void;
  goToMatch(by: 1 | -1): void;
  goToSurprise(by: 1 | -1): void;
  toggleList(): void;
  /** Return the focus to the text. */
  leave(): void;
}

const COLORS: ColorBy[] = ["probability", "surprisal", "entropy", "margin", "rank"];
const PALETTES = ["amber", "blue", "green", "grey"];
const FONTS = ["monospace", "proportional"];
const SPACES = [
  ["marks", "where it would be invisible"],
  ["all", "everywhere"],
  ["plain", "nowhere"],
] as const;

export class Toolbar {
  readonly root = element("div", "deluge-bar");
  readonly summary = element("span", "deluge-summary");
  readonly #searchField = input({
    type: "search",
    className: "deluge-search",
    placeholder: "search  /",
  });
  readonly #matchCount = element("span", "deluge-count");
  readonly #listButton = button("", "List of surprises", () => this.actions.toggleList());

  constructor(
    private readonly model: Model,
    legend: Legend,
    private readonly actions: ToolbarActions,
    signal: AbortSignal,
  ) {
    const color = dropdown("Colour by", COLORS, (value) => {
      // The limits are values of the old scale.
      model.set("limits", []);
      setTrait(model, "color_by", value as ColorBy);
    });
    this.root.append(
      color,
      legend.root,
      this.#createSteps(),
      this.#createSearch(),
      this.#createMenu(signal),
      this.summary,
    );
    const update = () => {
      color.value = model.get("color_by");
    };
    update();
    onChange(model, ["color_by"], update, signal);
  }

  #createSteps(): HTMLElement {
    const steps = element("span", "deluge-steps");
    steps.append(
      button("‹", "Previous surprise (p)", () => this.actions.goToSurprise(-1)),
      this.#listButton,
      button("›", "Next surprise (n)", () => this.actions.goToSurprise(1)),
    );
    return steps;
  }

  #createSearch(): HTMLElement {
    const { actions } = this;
    const searchField = this.#searchField;
    searchField.setAttribute("aria-label", "Search the text");
    searchField.addEventListener("input", () => actions.searchFor(searchField.value));
    searchField.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") actions.goToMatch(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") actions.leave();
      else return;
      event.preventDefault();
    });
    const group = element("span", "deluge-steps");
    group.append(searchField, this.#matchCount);
    return group;
  }

  /** The menu of settings that change how the text is drawn. */
  #createMenu(signal: AbortSignal): HTMLElement {
    const { model } = this;
    const palette = dropdown("Palette", PALETTES, (value) => setTrait(model, "palette", value));
    const spaces = dropdown("White space marks", SPACES, (value) => setTrait(model, "spaces", value));
    const font = dropdown("Font", FONTS, (value) => setTrait(model, "font", value));
    const boundaries = input({ type: "checkbox" });
    boundaries.addEventListener("change", () => setTrait(model, "boundaries", boundaries.checked));
    const threshold = input({ type: "number", min: "0.01", max: "100", step: "any" });
    threshold.addEventListener("change", () => {
      const value = Number(threshold.value);
      if (value > 0 && value <= 100) setTrait(model, "threshold", value / 100);
    });
    const update = () => {
      palette.value = model.get("palette");
      spaces.value = model.get("spaces");
      font.value = model.get("font");
      boundaries.checked = model.get("boundaries");
      threshold.value = String(Number((model.get("threshold") * 100).toPrecision(6)));
    };
    update();
    onChange(model, ["palette", "spaces", "font", "boundaries", "threshold"], update, signal);
    return this.#createDropPanel(
      "Display",
      [
        ["palette", palette],
        ["white space marks", spaces],
        ["font", font],
        ["token boundaries", boundaries],
        ["surprise threshold (%)", threshold],
      ],
      signal,
    );
  }

  /** A panel with labelled controls that opens below a button, and stays within the view and the page. */
  #createDropPanel(
    name: string,
    controls: [label: string, control: HTMLElement][],
    signal: AbortSignal,
  ): HTMLElement {
    const panel = element("div", "deluge-panel");
    for (const [text, control] of controls) {
      const label = element("label", "", `${text} `);
      label.append(control);
      panel.append(label);
    }
    const root = menu(name, panel, signal);
    root.addEventListener("toggle", () => {
      panel.style.marginLeft = "";
      const [bar, own] = [this.root.getBoundingClientRect(), panel.getBoundingClientRect()];
      const overflow = own.right - Math.min(bar.right, document.documentElement.clientWidth);
      if (overflow > 0) panel.style.marginLeft = `${-Math.min(overflow, own.left - bar.left)}px`;
    });
    return root;
  }

  focusSearch(): void {
    this.#searchField.focus();
    this.#searchField.select();
  }

  get query(): string {
    return this.#searchField.value;
  }

  /** Show the query of an earlier view of the same answer. */
  setQuery(query: string): void {
    this.#searchField.value = query;
  }

  showMatches(text: string): void {
    this.#matchCount.textContent = text;
  }

  showSurprises(count: number, threshold: string, isListOpen: boolean): void {
    const text = pluralize(count, "surprise");
    this.#listButton.textContent = text;
    this.#listButton.title = `Tokens below ${threshold} (s)`;
    this.#listButton.setAttribute("aria-label", `${text} (tokens below ${threshold}): show list`);
    this.#listButton.setAttribute("aria-expanded", String(isListOpen));
  }
}
