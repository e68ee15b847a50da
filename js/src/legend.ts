// What the colours mean, in the same spans and by the same stylesheet as the tokens.

import type { ColorBy, Scale } from "./columns.ts";
import { element } from "./dom.ts";

export class Legend {
  readonly root = element("div", "deluge-bar");
  private readonly scale = element("span", "deluge-legend");
  private readonly choice = element("select", "deluge-choice");

  constructor(
    private readonly scales: Record<ColorBy, Scale>,
    summary: string,
    choose: (colorBy: ColorBy) => void,
    signal: AbortSignal,
  ) {
    for (const name of Object.keys(scales)) {
      const option = element("option", "", name);
      option.value = name;
      this.choice.append(option);
    }
    this.choice.setAttribute("aria-label", "Colour by");
    this.choice.dataset["lmSuppressShortcuts"] = "true";
    this.choice.addEventListener("change", () => choose(this.choice.value as ColorBy), { signal });
    this.root.append(this.choice, this.scale, element("span", "deluge-summary", summary));
  }

  show(colorBy: ColorBy): void {
    this.choice.value = colorBy;
    const { variable, unit, steps } = this.scales[colorBy];
    const samples = steps.map(([text, value]) => {
      const sample = element("span", "deluge-token", text);
      sample.style.setProperty(variable, String(value));
      return sample;
    });
    this.scale.replaceChildren(...samples, element("span", "deluge-unit", unit));
  }
}
