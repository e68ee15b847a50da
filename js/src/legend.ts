// What the colours mean, in the same spans and by the same stylesheet as the tokens.

import { element } from "./dom.ts";

export type ColorBy = "probability" | "entropy" | "surprisal";

const SCALES: Record<ColorBy, [string, string, number][]> = {
  probability: [1, 0.9, 0.5, 0.1, 0.01].map((p) => [`${p * 100} %`, "--p", p]),
  surprisal: [0, 1, 3, 6, 10].map((s) => [`${s}`, "--s", s]),
  entropy: [0, 1, 2, 4, 8].map((h) => [`${h}`, "--h", h]),
};
const UNITS: Record<ColorBy, string> = { probability: "", surprisal: "bits", entropy: "bits" };

export class Legend {
  readonly root = element("div", "deluge-bar");
  private readonly scale = element("span", "deluge-legend");
  private readonly choice = element("select", "deluge-choice");

  constructor(summary: string, choose: (colorBy: ColorBy) => void, signal: AbortSignal) {
    for (const name of Object.keys(SCALES)) {
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
    const samples = SCALES[colorBy].map(([text, name, value]) => {
      const sample = element("span", "deluge-token", text);
      sample.style.setProperty(name, String(value));
      return sample;
    });
    this.scale.replaceChildren(...samples, element("span", "deluge-unit", UNITS[colorBy]));
  }
}
