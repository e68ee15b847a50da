// The bar above the text: what the colour says, searching, surprises, and how the text is drawn.

import { pluralize } from "../data/format.ts";
import type { ColorBy } from "../data/scale.ts";
import { onChange, setTrait } from "../host/traits.ts";
import { button, dropdown, element } from "../ui/dom.ts";
import type { Legend } from "../ui/legend.ts";
import type { Model } from "./model.ts";

export interface ToolbarActions {
  search(text: string): void;
  match(by: 1 | -1): void;
  surprise(by: 1 | -1): void;
  list(): void;
  leave(): void;
}

const PALETTES = ["amber", "blue", "green", "grey"] as const;
const SPACES = [
  ["marks", "white space where it stands alone"],
  ["all", "all white space"],
  ["plain", "no marks"],
] as const;
const FONTS = [
  ["monospace", "monospace"],
  ["proportional", "proportional"],
] as const;

export class Toolbar {
  readonly root = element("div", "deluge-bar");
  readonly summary = element("span", "deluge-summary");
  private readonly field = element("input", "deluge-search");
  private readonly found = element("span", "deluge-count");
  private readonly surprises = button("", "List of surprises", () => this.acts.list());

  constructor(
    model: Model,
    legend: Legend,
    private readonly acts: ToolbarActions,
    signal: AbortSignal,
  ) {
    const color = dropdown(
      "Colour by",
      (["probability", "surprisal", "entropy", "margin", "rank"] as ColorBy[]).map((one) => [one, one]),
      (value) => {
        // A part of one scale is none of another.
        model.set("limits", []);
        setTrait(model, "color_by", value as ColorBy);
      },
    );
    const more = element("details", "deluge-more");
    more.append(element("summary", "deluge-button", "Display"));
    const panel = element("div", "deluge-panel");
    const palette = dropdown(
      "Palette",
      PALETTES.map((one) => [one, one]),
      (value) => setTrait(model, "palette", value),
    );
    const spaces = dropdown("White space", SPACES, (value) => setTrait(model, "spaces", value));
    const font = dropdown("Font", FONTS, (value) => setTrait(model, "font", value));
    const edges = element("input");
    edges.type = "checkbox";
    edges.addEventListener("change", () => setTrait(model, "boundaries", edges.checked));
    const threshold = element("input");
    threshold.type = "number";
    threshold.min = "0.01";
    threshold.max = "100";
    threshold.step = "any";
    threshold.addEventListener("change", () => {
      const value = Number(threshold.value);
      if (value > 0 && value <= 100) setTrait(model, "threshold", value / 100);
    });
    for (const [name, control] of [
      ["palette", palette],
      ["marks", spaces],
      ["font", font],
      ["token boundaries", edges],
      ["surprises are below (%)", threshold],
    ] as const) {
      const label = element("label", "", `${name} `);
      control.dataset["lmSuppressShortcuts"] = "true";
      label.append(control);
      panel.append(label);
    }
    more.append(panel);
    // On a narrow page it would hang over the edge.
    more.addEventListener("toggle", () => {
      panel.style.marginLeft = "";
      const [whole, own] = [this.root.getBoundingClientRect(), panel.getBoundingClientRect()];
      const over = own.right - Math.min(whole.right, document.documentElement.clientWidth);
      if (over > 0) panel.style.marginLeft = `${-Math.min(over, own.left - whole.left)}px`;
    });

    this.field.type = "search";
    this.field.placeholder = "search  /";
    this.field.setAttribute("aria-label", "Search the text");
    this.field.dataset["lmSuppressShortcuts"] = "true";
    this.field.addEventListener("input", () => acts.search(this.field.value));
    this.field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") acts.match(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") acts.leave();
      else return;
      event.preventDefault();
    });
    const steps = element("span", "deluge-steps");
    steps.append(
      button("‹", "Previous surprise (p)", () => acts.surprise(-1)),
      this.surprises,
      button("›", "Next surprise (n)", () => acts.surprise(1)),
    );
    const seek = element("span", "deluge-steps");
    seek.append(this.field, this.found);
    this.root.append(color, legend.root, steps, seek, more, this.summary);

    const show = () => {
      color.value = model.get("color_by");
      palette.value = model.get("palette");
      spaces.value = model.get("spaces");
      font.value = model.get("font");
      edges.checked = model.get("boundaries");
      threshold.value = String(Number((model.get("threshold") * 100).toPrecision(6)));
    };
    show();
    onChange(model, ["color_by", "palette", "spaces", "font", "boundaries", "threshold"], show, signal);
  }

  /** Begin to search. */
  focusSearch(): void {
    this.field.focus();
    this.field.select();
  }

  get query(): string {
    return this.field.value;
  }

  /** Take over what an earlier drawing of the same completion was query for. */
  setQuery(text: string): void {
    this.field.value = text;
  }

  showMatches(text: string): void {
    this.found.textContent = text;
  }

  showSurprises(count: number, below: string, listed: boolean): void {
    const told = pluralize(count, "surprise");
    this.surprises.textContent = told;
    this.surprises.title = `Tokens below ${below} (s)`;
    this.surprises.setAttribute("aria-label", `${told}, tokens below ${below}: list them`);
    this.surprises.setAttribute("aria-expanded", String(listed));
  }
}
