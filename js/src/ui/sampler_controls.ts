// The controls of the sampler in a card: temperature, top-k, top-p, min-p and their order.

import type { AnyModel } from "@anywidget/types";
import type { SamplerOrder, SamplerSettings } from "../data/cuts.ts";
import { setTrait } from "../host/traits.ts";
import { dropdown, element, input } from "./dom.ts";

/** The traits of both widgets that these controls change. */
export interface SamplerState {
  temperature: number;
  top_k: number | null;
  top_p: number | null;
  min_p: number | null;
  sampler_order: SamplerOrder;
}

type Model = AnyModel<SamplerState>;

const ORDERS = [
  ["vllm", "temperature first (vLLM)"],
  ["llama.cpp", "temperature last (llama.cpp)"],
] as const;

export const SAMPLER_TRAITS = ["temperature", "top_k", "top_p", "min_p", "sampler_order"] as const;

type Cut = "top_k" | "top_p" | "min_p";

const CUTS: [
  name: Cut,
  label: string,
  range: Partial<HTMLInputElement>,
  isValid: (value: number) => boolean,
][] = [
  ["top_p", "top-p", { min: "0.05", max: "1", step: "0.05" }, (value) => value > 0 && value <= 1],
  ["top_k", "top-k", { min: "1", step: "1" }, (value) => Number.isInteger(value) && value > 0],
  ["min_p", "min-p", { min: "0", max: "1", step: "0.01" }, (value) => value >= 0 && value <= 1],
];

/** The settings of the sampler, from the traits. A notebook that an older version has saved does not have all. */
export function samplerSettings(model: Model): SamplerSettings {
  return {
    temperature: model.get("temperature") ?? 1,
    topK: model.get("top_k") ?? null,
    topP: model.get("top_p") ?? null,
    minP: model.get("min_p") ?? null,
    order: model.get("sampler_order") ?? "vllm",
  };
}

export class SamplerControls {
  /** One element for all cards, so that the slider can be dragged while the card changes. */
  readonly root = element("div", "deluge-sampler");
  readonly #slider = input({ type: "range", min: "0", max: "2", step: "0.05" });
  readonly #temperatureText = element("span", "deluge-value");
  readonly #fields = new Map<Cut, HTMLInputElement>();
  readonly #order: HTMLSelectElement;

  constructor(private readonly model: Model) {
    const slider = this.#slider;
    slider.addEventListener("input", () => setTrait(model, "temperature", Number(slider.value)));
    const temperature = element("label", "deluge-heat", "temperature ");
    temperature.append(slider, this.#temperatureText);
    const cuts = element("div", "deluge-cuts");
    for (const [name, label, range, isValid] of CUTS) {
      const field = input({ type: "number", placeholder: "off", ...range });
      field.addEventListener("input", () => {
        if (field.value === "" && !field.validity.badInput) setTrait(model, name, null);
        else if (isValid(field.valueAsNumber)) setTrait(model, name, field.valueAsNumber);
        const isWrong = field.validity.badInput || (field.value !== "" && !isValid(field.valueAsNumber));
        field.setAttribute("aria-invalid", String(isWrong));
      });
      // What is no value of the setting gives way to the setting.
      field.addEventListener("change", () => {
        field.setAttribute("aria-invalid", "false");
        this.update();
      });
      const root = element("label", "", `${label} `);
      root.append(field);
      cuts.append(root);
      this.#fields.set(name, field);
    }
    this.#order = dropdown("Order of the sampler's steps", ORDERS, (value) =>
      setTrait(model, "sampler_order", value as SamplerOrder),
    );
    this.root.append(temperature, cuts, this.#order);
  }

  /** Show the settings. */
  update(): void {
    const settings = samplerSettings(this.model);
    const { temperature, topK, topP, minP, order } = settings;
    this.#slider.value = String(temperature);
    this.#temperatureText.textContent = temperature.toFixed(2);
    const values = { top_k: topK, top_p: topP, min_p: minP };
    for (const [name, field] of this.#fields) {
      const value = values[name];
      // Not while the same number is being written, as in "0.": it would be cut short.
      if (value !== null ? field.valueAsNumber !== value : field.value !== "")
        field.value = value === null ? "" : String(value);
    }
    this.#order.value = order;
    const steps = [temperature !== 1, topK !== null, topP !== null, minP !== null].filter(Boolean);
    this.#order.hidden = steps.length < 2;
  }
}
