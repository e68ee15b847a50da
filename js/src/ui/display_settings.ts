// The settings of how tokens are drawn, the same in a view and in a comparison.

import type { AnyModel } from "@anywidget/types";
import { onChange, setTrait } from "../host/traits.ts";
import { dropdown, input } from "./dom.ts";
import { setting } from "./menu.ts";

/** The traits of both widgets that these settings change. */
export interface DisplayState {
  palette: string;
  font: string;
  spaces: string;
  boundaries: boolean;
}

const PALETTES = ["amber", "blue", "green", "grey"];
const FONTS = ["monospace", "proportional"];
const SPACES = [
  ["marks", "where it would be invisible"],
  ["all", "everywhere"],
  ["plain", "nowhere"],
] as const;

export function displaySettings(model: AnyModel<DisplayState>, signal: AbortSignal): HTMLElement[] {
  const palette = dropdown("Palette", PALETTES, (value) => setTrait(model, "palette", value));
  const spaces = dropdown("White space marks", SPACES, (value) => setTrait(model, "spaces", value));
  const font = dropdown("Font", FONTS, (value) => setTrait(model, "font", value));
  const boundaries = input({ type: "checkbox" });
  boundaries.addEventListener("change", () => setTrait(model, "boundaries", boundaries.checked));
  const update = () => {
    palette.value = model.get("palette");
    spaces.value = model.get("spaces");
    font.value = model.get("font");
    boundaries.checked = model.get("boundaries");
  };
  update();
  onChange(model, ["palette", "spaces", "font", "boundaries"], update, signal);
  return [
    setting("palette", palette),
    setting("white space marks", spaces),
    setting("font", font),
    setting("token boundaries", boundaries),
  ];
}

/** Let the stylesheet draw tokens in the palette and the font of the traits. */
export function applyDisplay(
  root: HTMLElement,
  model: AnyModel<DisplayState>,
  palette = model.get("palette"),
): void {
  root.dataset["palette"] = palette;
  root.dataset["font"] = model.get("font");
  root.toggleAttribute("data-boundaries", model.get("boundaries"));
}
