// Draws the whole completion on one strip: a bar for each group of tokens, as high and as coloured as its least sure token.
// A frame marks the visible part; a click goes to a token, dragging selects a range.

import { type ColorBy, heat } from "../data/scale.ts";
import type { Store, TokenRef } from "../data/store.ts";
import { heatOf } from "../data/token_values.ts";
import { clearCanvas, tokenWidth } from "../ui/canvas.ts";
import { element } from "../ui/dom.ts";
import { type Drag, onDrag } from "../ui/drag.ts";
import { IdleTask } from "../ui/idle_tasks.ts";
import type { Selection } from "./selection.ts";
import { FEW, MANY } from "./short_answer.ts";

/** The height of the strip: px. */
const HEIGHT = 36;
/** Groups of tokens, at most; for more tokens the groups become larger. */
const MAX_GROUPS = 2048;
/** Distinct colours of the bars. */
const COLOR_STEPS = 24;

/** The view, as the overview uses it. */
export interface OverviewHost {
  /** The colours that the stylesheet gives to tokens with these heats. */
  colorsOf(heats: number[]): string[];
  goTo(ref: TokenRef): void;
  selection: Selection;
}

export class Overview {
  readonly root = element("div", "deluge-strip");
  readonly #canvas = element("canvas", "deluge-canvas");
  readonly #frame = element("div", "deluge-frame");
  /** The largest heat of each group; NaN if none is known. */
  #groupHeats = new Float32Array(MAX_GROUPS).fill(Number.NaN);
  #groupSize = 1;
  #countedTokens = 0;
  #colorBy: ColorBy = "probability";
  #range: [number, number] | null = null;
  #token: number | null = null;
  #width = 0;
  readonly #task: IdleTask;
  /** By heat; empty until they are needed. */
  #colors: string[] = [];

  constructor(
    private readonly store: Store,
    private readonly host: OverviewHost,
    signal: AbortSignal,
  ) {
    this.#task = new IdleTask(signal);
    this.root.append(this.#canvas, this.#frame);
    this.root.hidden = store.count < MANY;
    this.root.setAttribute("aria-hidden", "true");
    this.root.title = "Overview: click to go to a token, drag to select a range";
    onDrag(this.root, (event) => this.#startDrag(event), signal);
  }

  #startDrag(event: PointerEvent): Drag {
    const from = this.#tokenAt(event);
    let hasMoved = false;
    return {
      move: (moveEvent) => {
        const to = this.#tokenAt(moveEvent);
        hasMoved ||= Math.abs(this.#xOf(to) - this.#xOf(from)) > 3;
        if (hasMoved) this.host.selection.selectRange([Math.min(from, to), Math.max(from, to) + 1]);
      },
      release: (releaseEvent) => {
        if (hasMoved) return;
        this.host.selection.selectRange(null);
        this.host.goTo({ side: 0, token: this.#tokenAt(releaseEvent) });
      },
    };
  }

  /** Draw the tokens from `first` on again, in idle time; all tokens if the scale or earlier tokens have changed. */
  update(colorBy: ColorBy, first: number): void {
    this.#task.start(this.#collect(colorBy, first), () => this.draw());
  }

  *#collect(colorBy: ColorBy, first: number): Generator<void> {
    if (colorBy !== this.#colorBy || first < this.#countedTokens) {
      this.#groupHeats.fill(Number.NaN);
      this.#groupSize = 1;
      this.#countedTokens = 0;
      this.#colorBy = colorBy;
    }
    const { store } = this;
    while (this.#countedTokens < store.count) {
      const end = Math.min(store.count, this.#countedTokens + 4096);
      while (end > this.#groupSize * MAX_GROUPS) this.#mergeGroups();
      if (colorBy === "probability") this.#addProbabilities(this.#countedTokens, end);
      else {
        for (let token = this.#countedTokens; token < end; token++) {
          const tokenHeat = heatOf(store, colorBy, token);
          if (!Number.isNaN(tokenHeat)) this.#addHeat(Math.floor(token / this.#groupSize), tokenHeat);
        }
      }
      this.#countedTokens = end;
      yield;
    }
  }

  /** The least probable token of a group has the least logarithm: one exponential per group is enough. */
  #addProbabilities(first: number, end: number): void {
    const { logprob, scales } = this.store;
    for (let token = first; token < end; ) {
      const group = Math.floor(token / this.#groupSize);
      const stop = Math.min(end, (group + 1) * this.#groupSize);
      let least = Number.POSITIVE_INFINITY;
      for (; token < stop; token++) {
        const value = logprob[token] ?? Number.NaN;
        if (value < least) least = value;
      }
      if (least < Number.POSITIVE_INFINITY) this.#addHeat(group, heat(scales.probability, Math.exp(least)));
    }
  }

  #addHeat(group: number, value: number): void {
    const largest = this.#groupHeats[group] ?? Number.NaN;
    if (!(largest >= value)) this.#groupHeats[group] = value;
  }

  #mergeGroups(): void {
    const merged = new Float32Array(MAX_GROUPS).fill(Number.NaN);
    for (let group = 0; group < MAX_GROUPS; group += 2) {
      const a = this.#groupHeats[group] ?? Number.NaN;
      const b = this.#groupHeats[group + 1] ?? Number.NaN;
      merged[group >> 1] = a >= b || Number.isNaN(b) ? a : b;
    }
    this.#groupHeats = merged;
    this.#groupSize *= 2;
  }

  setSelection(range: [number, number] | null, token: number | null): void {
    this.#range = range;
    this.#token = token;
  }

  /** Show the strip if there are many tokens, or more than a few that do not fit into their box. */
  showFor(box: HTMLElement): void {
    this.root.hidden =
      this.store.count < MANY && (this.store.count <= FEW || box.scrollHeight <= box.clientHeight);
  }

  /** Read the width. Call this before other elements change, or the browser lays out the page twice. */
  measure(): void {
    this.#width = this.root.clientWidth;
  }

  /** The colours may have changed. */
  resetColors(): void {
    this.#colors = [];
  }

  /** Put the frame around the visible tokens. */
  frameTokens([first, last]: [number, number]): void {
    this.#frame.style.left = `${this.#xOf(first)}px`;
    this.#frame.style.width = `${Math.max(2, this.#xOf(last) - this.#xOf(first))}px`;
    this.#frame.hidden = first === 0 && last >= this.store.count;
  }

  draw(): void {
    if (!this.#width) this.measure();
    const { store } = this;
    const width = this.#width;
    const context = store.count ? clearCanvas(this.#canvas, width, HEIGHT) : null;
    if (!context) return;
    if (!this.#colors.length)
      this.#colors = this.host.colorsOf(
        Array.from({ length: COLOR_STEPS }, (_, step) => step / (COLOR_STEPS - 1)),
      );
    const style = getComputedStyle(this.root);
    if (this.#range) {
      context.fillStyle = style.getPropertyValue("outline-color");
      const left = this.#xOf(this.#range[0]);
      context.fillRect(left, 0, Math.max(1, this.#xOf(this.#range[1]) - left), HEIGHT);
    }
    this.#drawBars(context);
    if (this.#token !== null) {
      context.fillStyle = style.color;
      const markWidth = Math.min(Math.max(2, width / store.count - 1), 6);
      const center = (this.#xOf(this.#token) + this.#xOf(this.#token + 1)) / 2;
      context.fillRect(center - markWidth / 2, 0, markWidth, 3);
    }
  }

  #drawBars(context: CanvasRenderingContext2D): void {
    const { store } = this;
    const width = this.#width;
    const colors = this.#colors;
    const groups = Math.ceil(store.count / this.#groupSize);
    // At most one bar per pixel, for the least sure of the groups that fall on it.
    const bars = Math.min(groups, Math.floor(width));
    const barWidth = this.#xOf(store.count) / bars;
    for (let bar = 0; bar < bars; bar++) {
      let largest = Number.NaN;
      const last = Math.floor(((bar + 1) * groups) / bars);
      for (let group = Math.floor((bar * groups) / bars); group < last; group++) {
        const groupHeat = this.#groupHeats[group] ?? Number.NaN;
        if (!(largest >= groupHeat) && !Number.isNaN(groupHeat)) largest = groupHeat;
      }
      if (Number.isNaN(largest)) continue;
      context.fillStyle = colors[Math.round(largest * (COLOR_STEPS - 1))] ?? "";
      const height = 3 + largest * (HEIGHT - 5);
      context.fillRect(
        bar * barWidth,
        HEIGHT - height,
        Math.max(1, barWidth > 3 && bar < bars - 1 ? barWidth - 1 : barWidth),
        height,
      );
    }
  }

  #xOf(token: number): number {
    return token * tokenWidth(this.#width, this.store.count);
  }

  #tokenAt(event: PointerEvent): number {
    const { count } = this.store;
    const x = event.clientX - this.root.getBoundingClientRect().left;
    return Math.max(0, Math.min(count - 1, Math.floor(x / tokenWidth(this.#width, count))));
  }
}
