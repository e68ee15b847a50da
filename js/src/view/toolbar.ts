// The bar above the text of a view: colours, surprises, search, and how the text is drawn.

import { pluralize } from "../data/format.ts";
import type { ColorBy } from "../data/scale.ts";
import { onChange, setTrait } from "../host/traits.ts";
import { Bar, group } from "../ui/bar.ts";
import { displaySettings } from "../ui/display_settings.ts";
import { button, dropdown, element, focusedFrom, input } from "../ui/dom.ts";
import type { Legend } from "../ui/legend.ts";
import { menu, setting } from "../ui/menu.ts";
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

/** The widths from which on all controls fit into one line, without the summary and with it: px. */
const WIDE = 700;
const ROOMY = 920;

export class Toolbar extends Bar {
  readonly #searchField = input({
    type: "search",
    className: "deluge-search",
    placeholder: "search  /",
  });
  readonly #matchCount = element("span", "deluge-count");
  readonly #listButton = button("", "List of surprises", () => this.actions.toggleList());
  readonly #surprises: HTMLElement;
  readonly #search: HTMLElement;
  #isSearchKept = true;

  constructor(
    private readonly model: Model,
    legend: Legend,
    private readonly actions: ToolbarActions,
    signal: AbortSignal,
  ) {
    super(ROOMY);
    const color = dropdown("Colour by", COLORS, (value) => {
      // The limits are values of the old scale.
      model.set("limits", []);
      setTrait(model, "color_by", value as ColorBy);
    });
    this.#surprises = this.#createSteps();
    this.#search = this.#createSearch();
    const threshold = this.#createThreshold();
    const settings = [...displaySettings(model, signal), setting("surprise threshold (%)", threshold)];
    this.fill(
      [{ controls: group(setting("colour by", color), legend.root), wide: WIDE }],
      [this.#surprises, this.#search],
      menu("Display", settings, signal),
    );
    const update = () => {
      color.value = model.get("color_by");
      threshold.value = String(Number((model.get("threshold") * 100).toPrecision(6)));
    };
    update();
    onChange(model, ["color_by", "threshold"], update, signal);
  }

  #createSteps(): HTMLElement {
    return group(
      button("‹", "Previous surprise (p)", () => this.actions.goToSurprise(-1)),
      this.#listButton,
      button("›", "Next surprise (n)", () => this.actions.goToSurprise(1)),
    );
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
    // A field that a key has opened stays as long as it is used.
    searchField.addEventListener("blur", () => this.#foldSearch());
    return group(searchField, this.#matchCount);
  }

  #createThreshold(): HTMLInputElement {
    const threshold = input({ type: "number", min: "0.01", max: "100", step: "any" });
    threshold.addEventListener("change", () => {
      const value = Number(threshold.value);
      if (value > 0 && value <= 100) setTrait(this.model, "threshold", value / 100);
    });
    return threshold;
  }

  /** Show the controls for surprises and search, which a text that is seen at a glance does without. */
  showTools(isShown: boolean): void {
    this.#surprises.hidden = !isShown;
    this.#isSearchKept = isShown;
    this.#foldSearch();
  }

  #foldSearch(): void {
    const isUsed = this.query !== "" || focusedFrom(this.#searchField) === this.#searchField;
    this.#search.hidden = !this.#isSearchKept && !isUsed;
  }

  focusSearch(): void {
    this.#search.hidden = false;
    this.#searchField.focus();
    this.#searchField.select();
  }

  get query(): string {
    return this.#searchField.value;
  }

  /** Show the query of an earlier view of the same answer. */
  setQuery(query: string): void {
    this.#searchField.value = query;
    this.#foldSearch();
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
