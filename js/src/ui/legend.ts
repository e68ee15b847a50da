// What the colours mean, painted as the tokens are; two handles on it choose the part that is shown in full.

import { type ColorBy, formatValue, heat, type Scale, valueAt } from "../data/scale.ts";
import { element } from "./dom.ts";
import { followDrags } from "./drag.ts";

/** How far apart two steps must be, as a share of the ramp. */
const APART = 0.12;
/** How far a key moves a handle. */
const STEP = 0.05;

export class Legend {
  readonly root = element("div", "deluge-legend");
  private readonly ramp = element("div", "deluge-ramp");
  private readonly ticks = element("div", "deluge-ticks");
  private readonly handles: [HTMLElement, HTMLElement];
  private readonly veils = [element("div", "deluge-veil"), element("div", "deluge-veil")] as const;
  private scale: Scale | null = null;
  /** The part, in heat. */
  private part: [number, number] = [0, 1];

  constructor(
    private readonly choose: (limits: number[]) => void,
    signal: AbortSignal,
  ) {
    const handle = (name: string) => {
      const made = element("div", "deluge-handle");
      made.tabIndex = 0;
      made.setAttribute("role", "slider");
      made.setAttribute("aria-label", name);
      made.dataset["lmSuppressShortcuts"] = "true";
      return made;
    };
    this.handles = [handle("Show from"), handle("Show up to")];
    this.ramp.append(...this.veils, ...this.handles);
    this.root.append(this.ramp, this.ticks);
    this.root.title = "Drag over the colours to dim the rest; double-click to show all";
    this.listen(signal);
  }

  show(colorBy: ColorBy, scale: Scale, limits: number[]): void {
    this.scale = scale;
    const ends = limits.map((value) => heat(scale, value));
    this.part = ends.length === 2 ? [Math.min(...ends), Math.max(...ends)] : [0, 1];
    // Where steps would stand on one another, those in between give way.
    const last = scale.steps.length - 1;
    let reached = Number.NEGATIVE_INFINITY;
    const ticks: HTMLElement[] = [];
    scale.steps.forEach(([text], at) => {
      const place = scale.heats[at] ?? 0;
      if (at < last && (place - reached < APART || (scale.heats[last] ?? 1) - place < APART)) return;
      reached = place;
      const tick = element("span", "", text);
      tick.style.left = `${place * 100}%`;
      // Ticks at the ends stay within the ramp.
      if (at === 0) tick.className = "deluge-first";
      if (at === last) tick.className = "deluge-last";
      ticks.push(tick);
    });
    if (scale.unit) ticks.push(element("span", "deluge-unit", scale.unit));
    this.ticks.replaceChildren(...ticks);
    this.ramp.setAttribute("role", "group");
    this.ramp.setAttribute("aria-label", `${colorBy}${scale.unit ? ` (${scale.unit})` : ""}, shown part`);
    this.paint();
  }

  private paint(): void {
    const { scale } = this;
    if (!scale) return;
    this.handles.forEach((handle, at) => {
      const heatAt = this.part[at] ?? 0;
      handle.style.left = `${heatAt * 100}%`;
      handle.setAttribute("aria-valuemin", "0");
      handle.setAttribute("aria-valuemax", "100");
      handle.setAttribute("aria-valuenow", String(Math.round(heatAt * 100)));
      handle.setAttribute(
        "aria-valuetext",
        `${formatValue(scale, valueAt(scale, heatAt))} ${scale.unit}`.trim(),
      );
    });
    const [low, high] = this.part;
    this.veils[0].style.width = `${low * 100}%`;
    this.veils[1].style.left = `${high * 100}%`;
    this.veils[1].style.width = `${(1 - high) * 100}%`;
    this.root.classList.toggle("deluge-limited", low > 0 || high < 1);
  }

  private set(from: number, to: number): void {
    const low = Math.max(0, Math.min(from, to));
    const high = Math.min(1, Math.max(from, to));
    this.part = [low, high];
    this.paint();
    const { scale } = this;
    if (!scale) return;
    const all = low <= 0 && high >= 1;
    this.choose(all ? [] : [valueAt(scale, low), valueAt(scale, high)].sort((a, b) => a - b));
  }

  /** A step further along the ramp: as far as the next rank, where the scale is of whole numbers. */
  private beside(now: number, by: 1 | -1): number {
    const { scale } = this;
    const to = now + by * STEP;
    if (scale?.curve !== "log" || to < 0 || to > 1) return to;
    const rank = valueAt(scale, now);
    return valueAt(scale, to) === rank ? heat(scale, rank + by) : to;
  }

  private listen(signal: AbortSignal): void {
    const at = (event: PointerEvent) => {
      const { left, width } = this.ramp.getBoundingClientRect();
      return Math.max(0, Math.min(1, (event.clientX - left) / Math.max(1, width)));
    };
    followDrags(
      this.ramp,
      (event) => {
        const held = this.handles.indexOf(event.target as HTMLElement);
        // A handle moves against the other; anywhere else a new part begins.
        const fixed = held >= 0 ? (this.part[1 - held] ?? 0) : null;
        const from = at(event);
        return {
          move: (moved) => {
            const to = at(moved);
            if (fixed !== null) this.set(fixed, to);
            else if (Math.abs(to - from) > 0.02) this.set(from, to);
          },
        };
      },
      signal,
    );
    this.ramp.addEventListener("dblclick", () => this.set(0, 1), { signal });
    this.handles.forEach((handle, which) => {
      handle.addEventListener(
        "keydown",
        (event) => {
          const now = this.part[which] ?? 0;
          const moves: Record<string, number> = {
            ArrowRight: this.beside(now, 1),
            ArrowUp: this.beside(now, 1),
            ArrowLeft: this.beside(now, -1),
            ArrowDown: this.beside(now, -1),
            Home: 0,
            End: 1,
          };
          const other = this.part[1 - which] ?? 0;
          const to = event.key === "Escape" ? null : moves[event.key];
          if (to === undefined) return;
          event.preventDefault();
          event.stopPropagation();
          if (to === null) this.set(0, 1);
          // Handles do not change places under the fingers.
          else if (which === 0) this.set(Math.min(to, other), other);
          else this.set(other, Math.max(to, other));
        },
        { signal },
      );
    });
  }
}
