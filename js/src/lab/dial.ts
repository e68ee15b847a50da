// A slider with a name, whose chart follows it: pictures that were drawn beforehand, or one that Python draws.

import { NO_KERNEL } from "../host/kernel.ts";
import { followTheme } from "../host/theme.ts";
import { onChange } from "../host/traits.ts";
import { button, element, input } from "../ui/dom.ts";
import { focusWhileScrolled } from "../ui/scrolled.ts";
import type { DialModel, Picture } from "./model.ts";
import { svgElement } from "./svg.ts";

/** Milliseconds after which another value is sent, although the last one has brought no picture. */
const PATIENCE = 10_000;

/** Pixels below which a picture is scrolled and not made smaller: its letters would be too small to read. */
const LEGIBLE = 440;

export class Dial {
  readonly root = element("section", "deluge-lab deluge-dial mathjax_ignore tex2jax_ignore");
  readonly #input = input({ type: "range", min: "0", step: "1" });
  readonly #value = element("output", "deluge-dial-value");
  readonly #less = button("−", "one step less", () => this.#move(this.model.get("position") - 1));
  readonly #more = button("+", "one step more", () => this.#move(this.model.get("position") + 1));
  readonly #picture = element("div", "deluge-dial-picture");
  readonly #status = element("div", "deluge-dial-spoken");
  readonly #note = element("div", "deluge-lab-note");
  /** The step whose picture Python is drawing. */
  #awaited = -1;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly model: DialModel,
    signal: AbortSignal,
  ) {
    const label = element("label", "deluge-dial-label", model.get("label"));
    label.append(this.#input);
    this.#picture.setAttribute("role", "group");
    this.#status.setAttribute("role", "status");
    const bar = element("div", "deluge-dial-bar");
    bar.append(this.#less, label, this.#more, this.#value);
    this.#note.setAttribute("role", "status");
    this.root.append(bar, this.#picture, this.#note, this.#status);
    this.#input.addEventListener("input", () => this.#move(Number(this.#input.value)), { signal });
    onChange(model, ["position", "steps", "texts", "frames"], () => this.#update(), signal);
    onChange(model, ["picture", "drawn"], () => this.#onDrawn(), signal);
    followTheme(this.root, () => {}, signal);
    focusWhileScrolled(this.#picture, signal);
    signal.addEventListener("abort", () => clearTimeout(this.#timer));
    this.#update();
  }

  /** Move to a step, as far as there are steps. */
  #move(step: number): void {
    const position = Math.max(0, Math.min(this.model.get("steps").length - 1, step));
    if (position === this.model.get("position")) return;
    this.model.set("position", position);
    this.#update();
    this.#send();
  }

  /** Tell Python the step. While it draws a picture, further steps wait, so that none piles up behind a slow chart. */
  #send(): void {
    if (this.#awaited >= 0) return;
    if (!this.model.get("frames").length) {
      this.#awaited = this.model.get("position");
      this.#timer = setTimeout(() => {
        this.#note.textContent = NO_KERNEL;
        this.#release();
      }, PATIENCE);
    }
    this.model.save_changes();
  }

  #onDrawn(): void {
    this.#note.textContent = "";
    this.#update();
    if (this.model.get("drawn") === this.#awaited) this.#release();
  }

  #release(): void {
    clearTimeout(this.#timer);
    const isBehind = this.#awaited >= 0 && this.#awaited !== this.model.get("position");
    this.#awaited = -1;
    if (isBehind) this.#send();
  }

  #update(): void {
    const position = this.model.get("position");
    const text = this.model.get("texts")[position] ?? "";
    const last = this.model.get("steps").length - 1;
    this.#input.max = String(last);
    this.#input.value = String(position);
    this.#input.setAttribute("aria-valuetext", text);
    this.#value.textContent = text;
    this.#less.disabled = position <= 0;
    this.#more.disabled = position >= last;
    this.#draw(this.model.get("frames")[position] ?? this.model.get("picture"));
  }

  #draw(picture: Picture | undefined): void {
    const svg = picture?.svg ? svgElement(picture.svg) : null;
    if (svg) svg.style.minWidth = `min(${LEGIBLE}px, ${Number(svg.getAttribute("width"))}px)`;
    this.#picture.replaceChildren(...(svg ? [svg] : []));
    this.#picture.hidden = !svg;
    this.#picture.setAttribute("aria-label", picture?.text ?? "");
    if (this.#status.textContent !== picture?.text) this.#status.textContent = picture?.text ?? "";
  }
}
