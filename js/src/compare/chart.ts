// Draws the log-probability or entropy of all responses over a shared axis: the responses disagree where their lines do.
// The stylesheet decides the colours.

import { lastAtMost } from "../data/columns.ts";
import { clearCanvas, tokenWidth } from "../ui/canvas.ts";
import { element } from "../ui/dom.ts";
import { onDrag } from "../ui/drag.ts";
import type { Alignment, TokenRef } from "./alignment.ts";
import { swatch } from "./letters.ts";
import type { ChartMeasure } from "./model.ts";

/** The height of the chart, and of the line of text at its top: px. */
const HEIGHT = 72;
const TOP = 20;
/** Points of a line, at most; for longer axes, each point stands for the least sure of its tokens. */
const MAX_POINTS = 2048;
/** The possible ends of the vertical scale, in nats or bits. Larger values are cut at the last one. */
const SCALE_ENDS = [0.5, 1, 2, 3, 5, 7];
const DASHES = [[], [5, 2], [2, 2], [8, 2, 2, 2]];

export class Chart {
  readonly root = element("div", "deluge-plot");
  readonly #canvas = element("canvas", "deluge-canvas");
  readonly #frame = element("div", "deluge-frame");
  readonly #scaleLabel = element("span");
  /** Hidden elements from which the colours of the lines are read. */
  readonly #swatches: HTMLElement[];
  /** The start of each unit on the axis. A unit is as long as the most tokens that a response has in it. */
  readonly #unitStarts: Float64Array;
  readonly #length: number;
  /** For each response: the largest value (nats or bits) of each group of positions; NaN if none is known. */
  #values: Float32Array[] = [];
  #groupSize = 1;
  #scaleEnd = 1;
  #selected: TokenRef | null = null;

  constructor(
    private readonly alignment: Alignment,
    private readonly goTo: (ref: TokenRef) => void,
    signal: AbortSignal,
  ) {
    const { common, units } = alignment;
    this.#unitStarts = new Float64Array(common.length + 1);
    for (let unit = 0; unit < common.length; unit++) {
      const length = Math.max(...units.map((starts) => (starts[unit + 1] ?? 0) - (starts[unit] ?? 0)));
      this.#unitStarts[unit + 1] = (this.#unitStarts[unit] ?? 0) + length;
    }
    this.#length = this.#unitStarts[common.length] ?? 0;
    this.#swatches = alignment.stores.map((_, side) => swatch(side));
    for (const hiddenSwatch of this.#swatches) hiddenSwatch.hidden = true;
    this.root.append(this.#canvas, this.#frame, this.#scaleLabel, ...this.#swatches);
    this.root.setAttribute("aria-hidden", "true");
    const move = (event: PointerEvent) => {
      const ref = this.#tokenAt(event);
      if (ref) this.goTo(ref);
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

  /** Show a measure, as far as its values have arrived; request those that are missing. */
  setMeasure(measure: ChartMeasure): void {
    this.#groupSize = Math.max(1, Math.ceil(this.#length / MAX_POINTS));
    this.#values = this.alignment.stores.map((store, side) => {
      if (measure === "entropy") store.requestMeasures();
      const tokenValues = measure === "entropy" ? store.measures?.entropy : store.logprob;
      return this.#groupValues(side, tokenValues ?? []);
    });
    let largest = 0;
    for (const values of this.#values) for (const value of values) if (value > largest) largest = value;
    this.#scaleEnd = SCALE_ENDS.find((end) => end >= largest) ?? (SCALE_ENDS.at(-1) as number);
    this.#label(measure, largest > this.#scaleEnd);
  }

  /** The largest absolute value of each group of positions, for one response; NaN if none is known. */
  #groupValues(side: number, tokenValues: ArrayLike<number>): Float32Array {
    const values = new Float32Array(Math.ceil(this.#length / this.#groupSize)).fill(Number.NaN);
    const starts = this.alignment.units[side] ?? [];
    for (let unit = 0; unit + 1 < this.#unitStarts.length; unit++) {
      const from = starts[unit] ?? 0;
      const count = (starts[unit + 1] ?? 0) - from;
      const left = this.#unitStarts[unit] ?? 0;
      const length = (this.#unitStarts[unit + 1] ?? 0) - left;
      // The tokens of this response share the length of the unit.
      for (let offset = 0; offset < (count ? length : 0); offset++) {
        const value = Math.abs(tokenValues[from + Math.floor((offset * count) / length)] ?? Number.NaN);
        const group = Math.floor((left + offset) / this.#groupSize);
        if (!((values[group] ?? Number.NaN) >= value) && !Number.isNaN(value)) values[group] = value;
      }
    }
    return values;
  }

  #label(measure: ChartMeasure, isCut: boolean): void {
    this.#scaleLabel.textContent =
      measure === "logprob"
        ? `logprob from 0 to ${isCut ? "≤ " : ""}−${this.#scaleEnd} nats`
        : `entropy from 0 to ${isCut ? "≥ " : ""}${this.#scaleEnd} bits`;
    this.root.title = `${measure === "logprob" ? "Log-probability (least sure at the top)" : "Entropy"}: click to go to a token`;
  }

  setSelected(ref: TokenRef | null): void {
    this.#selected = ref;
  }

  /** Put the frame around the visible units. */
  frameUnits([first, last]: [number, number]): void {
    const { clientWidth } = this.#canvas;
    const from = this.#xOf(this.#unitStarts[first] ?? 0, clientWidth);
    const to = this.#xOf(this.#unitStarts[last + 1] ?? this.#length, clientWidth);
    this.#frame.style.left = `${from}px`;
    this.#frame.style.width = `${Math.max(2, to - from)}px`;
    this.#frame.hidden = first === 0 && last >= this.alignment.common.length - 1;
  }

  draw(): void {
    const width = this.#canvas.clientWidth;
    const context = this.#length ? clearCanvas(this.#canvas, width, HEIGHT) : null;
    if (!context) return;
    const style = getComputedStyle(this.root);
    this.#shadeDifferences(context, width, style.outlineColor);
    if (this.#selected) {
      const [from, to] = this.#extentOf(this.#selected);
      context.fillStyle = style.color;
      const left = this.#xOf(from, width);
      context.fillRect(left - 1, TOP, Math.max(3, this.#xOf(to, width) - left + 1), HEIGHT);
    }
    // Draw the first response last, so that its line lies over the others.
    for (let side = this.#values.length - 1; side >= 0; side--) {
      context.strokeStyle = getComputedStyle(this.#swatches[side] as HTMLElement).borderTopColor;
      // The fifth response has the colour of the first, and another pattern.
      context.setLineDash(DASHES[(side + (side >> 2)) % DASHES.length] ?? []);
      context.lineWidth = 1.5;
      context.lineJoin = "round";
      this.#drawLine(context, this.#values[side] as Float32Array, width);
    }
  }

  #drawLine(context: CanvasRenderingContext2D, values: Float32Array, width: number): void {
    context.beginPath();
    let isDrawing = false;
    values.forEach((value, group) => {
      if (Number.isNaN(value)) {
        isDrawing = false;
        return;
      }
      const y = HEIGHT - 3 - Math.min(1, value / this.#scaleEnd) * (HEIGHT - TOP - 6);
      const x = this.#xOf(group * this.#groupSize, width);
      if (isDrawing) context.lineTo(x, y);
      else context.moveTo(x, y);
      context.lineTo(this.#xOf(Math.min(this.#length, (group + 1) * this.#groupSize), width), y);
      isDrawing = true;
    });
    context.stroke();
  }

  /** Shade the units whose text differs. */
  #shadeDifferences(context: CanvasRenderingContext2D, width: number, color: string): void {
    const { common } = this.alignment;
    context.fillStyle = color;
    let from = -1;
    for (let unit = 0; unit <= common.length; unit++) {
      const differs = unit < common.length && !common[unit];
      if (differs && from < 0) from = unit;
      if (!differs && from >= 0) {
        const left = this.#xOf(this.#unitStarts[from] ?? 0, width);
        context.fillRect(
          left,
          TOP,
          Math.max(1, this.#xOf(this.#unitStarts[unit] ?? 0, width) - left),
          HEIGHT,
        );
        from = -1;
      }
    }
  }

  /** The start and the end of a token on the axis. */
  #extentOf(ref: TokenRef): [number, number] {
    const unit = this.alignment.unitOf(ref);
    const starts = this.alignment.units[ref.side] ?? [];
    const from = starts[unit] ?? 0;
    const count = Math.max(1, (starts[unit + 1] ?? 0) - from);
    const left = this.#unitStarts[unit] ?? 0;
    const tokenLength = ((this.#unitStarts[unit + 1] ?? 0) - left) / count;
    return [left + (ref.token - from) * tokenLength, left + (ref.token - from + 1) * tokenLength];
  }

  #xOf(position: number, width: number): number {
    return position * tokenWidth(width, this.#length);
  }

  /** The token under the pointer, of the first response that has one there. */
  #tokenAt(event: PointerEvent): TokenRef | null {
    const box = this.#canvas.getBoundingClientRect();
    const position = (event.clientX - box.left) / tokenWidth(box.width, this.#length);
    const unit = Math.min(
      lastAtMost(this.#unitStarts, Math.max(0, position)),
      this.alignment.common.length - 1,
    );
    const left = this.#unitStarts[unit] ?? 0;
    const length = (this.#unitStarts[unit + 1] ?? 0) - left;
    for (let side = 0; side < this.alignment.sides; side++) {
      const from = this.alignment.units[side]?.[unit] ?? 0;
      const count = (this.alignment.units[side]?.[unit + 1] ?? 0) - from;
      if (!count) continue;
      const index = Math.min(count - 1, Math.floor(((position - left) / length) * count));
      return { side, token: from + Math.max(0, index) };
    }
    return null;
  }
}
