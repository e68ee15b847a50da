// Check boxes that put outcomes into an event. The page adds up, so that it also works without Python.

import { followTheme } from "../host/theme.ts";
import { onChange, setTrait } from "../host/traits.ts";
import { element, input } from "../ui/dom.ts";
import type { EventModel } from "./model.ts";

export class EventPicker {
  readonly root = element("section", "deluge-lab deluge-event mathjax_ignore tex2jax_ignore");
  readonly #fill = element("div", "deluge-event-fill");
  readonly #status = element("div", "deluge-event-sum");
  readonly #boxes: HTMLInputElement[];

  constructor(
    private readonly model: EventModel,
    signal: AbortSignal,
  ) {
    const outcomes = element("div", "deluge-event-outcomes");
    outcomes.setAttribute("role", "group");
    outcomes.setAttribute("aria-label", "Outcomes of the event");
    this.#boxes = model.get("texts").map(() => input({ type: "checkbox" }));
    outcomes.append(...this.#boxes.map((box, index) => this.#row(box, index)));
    const bar = element("div", "deluge-event-bar");
    bar.setAttribute("aria-hidden", "true");
    bar.append(this.#fill);
    this.#status.setAttribute("role", "status");
    this.root.append(outcomes, this.#status, bar);
    onChange(model, ["ticked"], () => this.#update(), signal);
    followTheme(this.root, () => {}, signal);
    this.#update();
  }

  #row(box: HTMLInputElement, index: number): HTMLElement {
    const row = element("label", "deluge-event-outcome");
    const share = element("span", "deluge-event-share", this.model.get("shares")[index]);
    row.append(box, element("span", "deluge-event-name", this.model.get("texts")[index]), " ", share);
    box.addEventListener("change", () => {
      const ticked = this.#boxes.flatMap(({ checked }, place) => (checked ? [place] : []));
      setTrait(this.model, "ticked", ticked);
    });
    return row;
  }

  #update(): void {
    const ticked = new Set(this.model.get("ticked"));
    const probabilities = this.model.get("probabilities");
    let sum = 0;
    for (const [index, box] of this.#boxes.entries()) {
      box.checked = ticked.has(index);
      if (box.checked) sum += probabilities[index] ?? 0;
    }
    this.#fill.style.width = `${100 * Math.min(1, sum)}%`;
    const others = Math.max(0, 1 - sum);
    this.#status.textContent = `P(event) = ${sum.toFixed(3)}, P(not the event) = ${others.toFixed(3)}`;
  }
}
