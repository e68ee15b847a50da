// The legend of a colour scale, painted in the same colours as the tokens. Two handles select the range of values that
// is shown in full colour.

import { formatValue } from "../data/format.ts";
import { type ColorBy, heat, type Scale, valueAt } from "../data/scale.ts";
import { element, listenUntil, suppressShortcuts } from "./dom.ts";
import { onDrag } from "./drag.ts";

/** The narrowest ramp with more ticks than two, and the width of a letter in them: px. */
const MIN_RAMP = 204;
const LETTER = 7.6;
/** Step of a handle for an arrow key, in heat. */
const KEY_STEP = 0.05;

export class Legend {
  readonly root = element("div", "deluge-legend");
  readonly #ramp = element("div", "deluge-ramp");
  readonly #ticks = element("div", "deluge-ticks");
  readonly #unit = element("span", "deluge-unit");
  readonly #handles: [HTMLElement, HTMLElement];
  readonly #veils = [element("div", "deluge-veil"), element("div", "deluge-veil")] as const;
  #scale: Scale | null = null;
  /** The selected range, in heat. */
  #range: [number, number] = [0, 1];

  constructor(
    /** Called with the limits of the range as values, the lower one first; with none for the whole scale. */
    private readonly onLimits: (limits: number[]) => void,
    signal: AbortSignal,
  ) {
    const createHandle = (label: string) => {
      const handle = element("div", "deluge-handle");
      handle.tabIndex = 0;
      handle.setAttribute("role", "slider");
      handle.setAttribute("aria-label", label);
      return suppressShortcuts(handle);
    };
    this.#handles = [createHandle("Show from"), createHandle("Show up to")];
    this.#ramp.append(...this.#veils, this.#ticks, ...this.#handles);
    this.root.append(this.#ramp, this.#unit);
    this.root.title = "Drag to select a range of colours; double-click to show all";
    this.#listen(signal);
  }

  show(colorBy: ColorBy, scale: Scale, limits: number[]): void {
    this.#scale = scale;
    const ends = limits.map((value) => heat(scale, value));
    this.#range = ends.length === 2 ? [Math.min(...ends), Math.max(...ends)] : [0, 1];
    this.#ticks.replaceChildren(...this.#createTicks(scale));
    this.#unit.textContent = scale.unit;
    this.#ramp.setAttribute("role", "group");
    this.#ramp.setAttribute("aria-label", `${colorBy}${scale.unit ? ` (${scale.unit})` : ""}, shown range`);
    this.#paint();
  }

  /** The ticks of a scale, without those in between that would overlap others. */
  #createTicks(scale: Scale): HTMLElement[] {
    const last = scale.steps.length - 1;
    const halfOf = (text: string) => (text.length * LETTER) / 2;
    // The outer ticks stand within the ramp, beside its handles.
    let end = 2 * halfOf(scale.steps[0]?.[0] ?? "") + LETTER;
    const limit = MIN_RAMP - 2 * halfOf(scale.steps[last]?.[0] ?? "") - LETTER;
    const ticks: HTMLElement[] = [];
    scale.steps.forEach(([text], index) => {
      const position = scale.heats[index] ?? 0;
      const center = position * MIN_RAMP;
      const isOuter = index === 0 || index === last;
      if (!isOuter && (center - halfOf(text) < end || center + halfOf(text) > limit)) return;
      if (!isOuter) end = center + halfOf(text);
      const tick = element("span", "", text);
      tick.style.left = `${position * 100}%`;
      if (index === 0) tick.className = "deluge-first";
      if (index === last) tick.className = "deluge-last";
      ticks.push(tick);
    });
    return ticks;
  }

  #paint(): void {
    const scale = this.#scale;
    if (!scale) return;
    this.#handles.forEach((handle, index) => {
      const position = this.#range[index] ?? 0;
      handle.style.left = `${position * 100}%`;
      handle.setAttribute("aria-valuemin", "0");
      handle.setAttribute("aria-valuemax", "100");
      handle.setAttribute("aria-valuenow", String(Math.round(position * 100)));
      handle.setAttribute(
        "aria-valuetext",
        `${formatValue(scale, valueAt(scale, position))} ${scale.unit}`.trim(),
      );
    });
    const [low, high] = this.#range;
    this.#veils[0].style.width = `${low * 100}%`;
    this.#veils[1].style.left = `${high * 100}%`;
    this.#veils[1].style.width = `${(1 - high) * 100}%`;
    this.root.classList.toggle("deluge-limited", low > 0 || high < 1);
  }

  #setRange(from: number, to: number): void {
    const low = Math.max(0, Math.min(from, to));
    const high = Math.min(1, Math.max(from, to));
    this.#range = [low, high];
    this.#paint();
    const scale = this.#scale;
    if (!scale) return;
    const isWhole = low <= 0 && high >= 1;
    this.onLimits(isWhole ? [] : [valueAt(scale, low), valueAt(scale, high)].sort((a, b) => a - b));
  }

  /** The position one key press further along the ramp. On a scale of ranks it is at least the next rank. */
  #keyStep(from: number, by: 1 | -1): number {
    const scale = this.#scale;
    const to = from + by * KEY_STEP;
    if (scale?.curve !== "log" || to < 0 || to > 1) return to;
    const rank = valueAt(scale, from);
    return valueAt(scale, to) === rank ? heat(scale, rank + by) : to;
  }

  #listen(signal: AbortSignal): void {
    const positionOf = (event: PointerEvent) => {
      const { left, width } = this.#ramp.getBoundingClientRect();
      return Math.max(0, Math.min(1, (event.clientX - left) / Math.max(1, width)));
    };
    onDrag(
      this.#ramp,
      (event) => {
        const dragged = this.#handles.indexOf(event.target as HTMLElement);
        // Dragging a handle keeps the other one; dragging elsewhere selects a new range.
        const fixed = dragged >= 0 ? (this.#range[1 - dragged] ?? 0) : null;
        const from = positionOf(event);
        return {
          move: (moveEvent) => {
            const to = positionOf(moveEvent);
            if (fixed !== null) this.#setRange(fixed, to);
            else if (Math.abs(to - from) > 0.02) this.#setRange(from, to);
          },
        };
      },
      signal,
    );
    const on = listenUntil(signal);
    on(this.#ramp, "dblclick", () => this.#setRange(0, 1));
    this.#handles.forEach((handle, index) => {
      on(handle, "keydown", (event) => this.#onKey(event, index));
    });
  }

  #onKey(event: KeyboardEvent, index: number): void {
    const from = this.#range[index] ?? 0;
    const moves: Record<string, number> = {
      ArrowRight: this.#keyStep(from, 1),
      ArrowUp: this.#keyStep(from, 1),
      ArrowLeft: this.#keyStep(from, -1),
      ArrowDown: this.#keyStep(from, -1),
      Home: 0,
      End: 1,
    };
    const other = this.#range[1 - index] ?? 0;
    const to = event.key === "Escape" ? null : moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (to === null) this.#setRange(0, 1);
    // Keep the handles in order: the focused one must stay the one that moves.
    else if (index === 0) this.#setRange(Math.min(to, other), other);
    else this.#setRange(other, Math.max(to, other));
  }
}
