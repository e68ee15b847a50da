// The chart of all responses over the axis that they share: where their lines part, they disagree.

import { element } from "../ui/dom.ts";
import { onDrag } from "../ui/drag.ts";
import { type Comparison, last, type Place } from "./alignment.ts";
import type { Measure } from "./model.ts";

const HEIGHT = 72;
/** Points of a line; with more, neighbours are taken together, and the least sure of them counts. */
const MOST = 2048;
/** The ends that a scale may have: nats, bits. What is beyond the last is cut there. */
const ENDS = [0.5, 1, 2, 3, 5, 7];
const DASHES = [[], [5, 2], [2, 2], [8, 2, 2, 2]];

export class Plot {
  readonly root = element("div", "deluge-plot");
  private readonly canvas = element("canvas", "deluge-canvas");
  private readonly frame = element("div", "deluge-frame");
  private readonly ends = [element("span"), element("span")] as const;
  private readonly lines: HTMLElement[];
  /** Where each unit begins along the axis. */
  private readonly left: Float64Array;
  private readonly length: number;
  /** How unsure (nats, bits) per group of the axis and response. */
  private values: Float32Array[] = [];
  private size = 1;
  private end = 1;
  private selected: Place | null = null;

  constructor(
    private readonly comparison: Comparison,
    private readonly go: (place: Place) => void,
    signal: AbortSignal,
  ) {
    const { common, units } = comparison;
    this.left = new Float64Array(common.length + 1);
    for (let unit = 0; unit < common.length; unit++) {
      const most = Math.max(...units.map((starts) => (starts[unit + 1] ?? 0) - (starts[unit] ?? 0)));
      this.left[unit + 1] = (this.left[unit] ?? 0) + most;
    }
    this.length = this.left[common.length] ?? 0;
    // The stylesheet says what colours the lines have.
    this.lines = comparison.stores.map((_, side) => {
      const sample = element("span", "deluge-swatch");
      sample.dataset["side"] = String(side);
      sample.hidden = true;
      return sample;
    });
    this.root.append(this.canvas, this.frame, ...this.ends, ...this.lines);
    this.root.setAttribute("aria-hidden", "true");
    const move = (event: PointerEvent) => {
      const place = this.placeAt(event);
      if (place) this.go(place);
    };
    onDrag(
      this.root,
      (event) => {
        move(event);
        return { move };
      },
      signal,
    );
  }

  /** Gather the values of a measure; whether all of them are there. */
  count(measure: Measure): boolean {
    this.size = Math.max(1, Math.ceil(this.length / MOST));
    const groups = Math.ceil(this.length / this.size);
    let whole = true;
    let most = 0;
    this.values = this.comparison.stores.map((store, side) => {
      const found = new Float32Array(groups).fill(Number.NaN);
      if (measure === "entropy" && !store.requestMeasures()) whole = false;
      const values = measure === "entropy" ? store.measures?.entropy : store.logprob;
      const starts = this.comparison.units[side] ?? [];
      for (let unit = 0; unit + 1 < this.left.length; unit++) {
        const from = starts[unit] ?? 0;
        const many = (starts[unit + 1] ?? 0) - from;
        const left = this.left[unit] ?? 0;
        const wide = (this.left[unit + 1] ?? 0) - left;
        // Each token covers its part of the unit.
        for (let at = 0; at < (many ? wide : 0); at++) {
          const value = values?.[from + Math.floor((at * many) / wide)] ?? Number.NaN;
          const high = Math.abs(value);
          const group = Math.floor((left + at) / this.size);
          if (!((found[group] ?? Number.NaN) >= high) && !Number.isNaN(high)) {
            found[group] = high;
            if (high > most) most = high;
          }
        }
      }
      return found;
    });
    this.end = ENDS.find((end) => end >= most) ?? (ENDS.at(-1) as number);
    const [top, bottom] = this.ends;
    const cut = most > this.end;
    top.textContent =
      measure === "logprob" ? `${cut ? "≤ " : ""}−${this.end} nats` : `${cut ? "≥ " : ""}${this.end} bits`;
    bottom.textContent = measure === "logprob" ? "logprob 0" : "entropy 0";
    this.root.title = `${measure === "logprob" ? "Log-probability, the least sure at the top" : "Entropy"}: click to go there`;
    return whole;
  }

  mark(place: Place | null): void {
    this.selected = place;
  }

  /** Frame the units in sight. */
  see([first, end]: [number, number]): void {
    const { clientWidth } = this.canvas;
    const from = this.x(this.left[first] ?? 0, clientWidth);
    const to = this.x(this.left[end + 1] ?? this.length, clientWidth);
    this.frame.style.left = `${from}px`;
    this.frame.style.width = `${Math.max(2, to - from)}px`;
    this.frame.hidden = first === 0 && end >= this.comparison.common.length - 1;
  }

  draw(): void {
    const wide = this.canvas.clientWidth;
    const context = this.canvas.getContext("2d");
    if (!wide || !context || !this.length) return;
    const dense = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(wide * dense);
    this.canvas.height = HEIGHT * dense;
    context.setTransform(dense, 0, 0, dense, 0, 0);
    const style = getComputedStyle(this.root);
    this.shade(context, wide, style.outlineColor);
    if (this.selected) {
      const [from, to] = this.extent(this.selected);
      context.fillStyle = style.color;
      context.globalAlpha = 0.22;
      const left = this.x(from, wide);
      context.fillRect(left - 1, 0, Math.max(3, this.x(to, wide) - left + 1), HEIGHT);
      context.globalAlpha = 1;
    }
    // The first last: it lies over the others.
    for (let side = this.values.length - 1; side >= 0; side--) {
      context.strokeStyle = getComputedStyle(this.lines[side] as HTMLElement).borderTopColor;
      context.setLineDash(DASHES[side % DASHES.length] ?? []);
      context.lineWidth = 1.5;
      context.lineJoin = "round";
      this.line(context, this.values[side] as Float32Array, wide);
    }
  }

  private line(context: CanvasRenderingContext2D, values: Float32Array, wide: number): void {
    context.beginPath();
    let down = false;
    values.forEach((value, at) => {
      if (Number.isNaN(value)) {
        down = false;
        return;
      }
      const y = HEIGHT - 3 - Math.min(1, value / this.end) * (HEIGHT - 6);
      const x = this.x(at * this.size, wide);
      if (down) context.lineTo(x, y);
      else context.moveTo(x, y);
      context.lineTo(this.x(Math.min(this.length, (at + 1) * this.size), wide), y);
      down = true;
    });
    context.stroke();
  }

  /** What is not common is shaded. */
  private shade(context: CanvasRenderingContext2D, wide: number, colour: string): void {
    const { common } = this.comparison;
    context.fillStyle = colour;
    context.globalAlpha = 0.18;
    let from = -1;
    for (let unit = 0; unit <= common.length; unit++) {
      const odd = unit < common.length && !common[unit];
      if (odd && from < 0) from = unit;
      if (!odd && from >= 0) {
        const left = this.x(this.left[from] ?? 0, wide);
        context.fillRect(left, 0, Math.max(1, this.x(this.left[unit] ?? 0, wide) - left), HEIGHT);
        from = -1;
      }
    }
    context.globalAlpha = 1;
  }

  private extent(place: Place): [number, number] {
    const unit = this.comparison.unitOf(place);
    const starts = this.comparison.units[place.side] ?? [];
    const from = starts[unit] ?? 0;
    const many = Math.max(1, (starts[unit + 1] ?? 0) - from);
    const left = this.left[unit] ?? 0;
    const each = ((this.left[unit + 1] ?? 0) - left) / many;
    return [left + (place.token - from) * each, left + (place.token - from + 1) * each];
  }

  private x(along: number, wide: number): number {
    // Few tokens stand side by side, and do not fill the width.
    return along * Math.min(12, wide / Math.max(1, this.length));
  }

  private placeAt(event: PointerEvent): Place | null {
    const box = this.canvas.getBoundingClientRect();
    const along = (event.clientX - box.left) / Math.min(12, box.width / Math.max(1, this.length));
    const unit = Math.min(last(this.left as never, Math.max(0, along)), this.comparison.common.length - 1);
    const left = this.left[unit] ?? 0;
    const wide = (this.left[unit + 1] ?? 0) - left;
    for (let side = 0; side < this.comparison.sides; side++) {
      const from = this.comparison.units[side]?.[unit] ?? 0;
      const many = (this.comparison.units[side]?.[unit + 1] ?? 0) - from;
      if (!many) continue;
      const at = Math.min(many - 1, Math.floor(((along - left) / wide) * many));
      return { side, token: from + Math.max(0, at) };
    }
    return null;
  }
}
