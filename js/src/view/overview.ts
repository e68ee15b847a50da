// The whole completion on one strip: a column per group of tokens, as high and as coloured as the least sure of them.
// Where the text stands is framed; dragging chooses tokens, a click goes to them.

import { type ColorBy, heat } from "../data/scale.ts";
import type { Store } from "../data/store.ts";
import { heatOf } from "../data/token_values.ts";
import { element } from "../ui/dom.ts";
import { onDrag } from "../ui/drag.ts";

const HEIGHT = 36;
/** Groups of tokens; doubled in size, and halved in number, when there are more. */
const MOST = 2048;
const SHADES = 24;

export class Strip {
  readonly root = element("div", "deluge-strip");
  private readonly canvas = element("canvas", "deluge-canvas");
  private readonly frame = element("div", "deluge-frame");
  private most = new Float32Array(MOST).fill(Number.NaN);
  private size = 1;
  private counted = 0;
  private colorBy: ColorBy = "probability";
  private range: [number, number] | null = null;
  private token: number | null = null;
  private wide = 0;
  /** The colours of heats, once they have been asked for. */
  private colours: string[] = [];

  constructor(
    private readonly store: Store,
    private readonly shades: (heats: number[]) => string[],
    private readonly go: (token: number) => void,
    private readonly choose: (range: [number, number] | null) => void,
    signal: AbortSignal,
  ) {
    this.root.append(this.canvas, this.frame);
    this.root.setAttribute("aria-hidden", "true");
    this.root.title = "The whole text: click to go there, drag to choose tokens";
    onDrag(
      this.root,
      (event) => {
        const from = this.tokenAt(event);
        let dragged = false;
        return {
          move: (moved) => {
            const to = this.tokenAt(moved);
            dragged ||= Math.abs(this.place(to) - this.place(from)) > 3;
            if (dragged) this.choose([Math.min(from, to), Math.max(from, to) + 1]);
          },
          release: (dropped) => {
            if (dragged) return;
            this.choose(null);
            this.go(this.tokenAt(dropped));
          },
        };
      },
      signal,
    );
  }

  /** Count again from a token on; from the first where what is counted has changed. */
  *count(colorBy: ColorBy, first: number): Generator<void> {
    if (colorBy !== this.colorBy || first < this.counted) {
      this.most.fill(Number.NaN);
      this.size = 1;
      this.counted = 0;
      this.colorBy = colorBy;
    }
    const { store } = this;
    const scale = store.scales[colorBy];
    while (this.counted < store.count) {
      const end = Math.min(store.count, this.counted + 4096);
      while (end > this.size * MOST) this.halve();
      if (colorBy === "probability") {
        // The least probable of a group is the one whose logarithm is least: one exponential for all of them.
        for (let token = this.counted; token < end; ) {
          const group = Math.floor(token / this.size);
          const stop = Math.min(end, (group + 1) * this.size);
          let least = Number.POSITIVE_INFINITY;
          for (; token < stop; token++) {
            const one = store.logprob[token] ?? Number.NaN;
            if (one < least) least = one;
          }
          if (least < Number.POSITIVE_INFINITY) this.rise(group, heat(scale, Math.exp(least)));
        }
      } else {
        for (let token = this.counted; token < end; token++) {
          const one = heatOf(store, colorBy, token);
          if (!Number.isNaN(one)) this.rise(Math.floor(token / this.size), one);
        }
      }
      this.counted = end;
      yield;
    }
  }

  private rise(group: number, to: number): void {
    const was = this.most[group] ?? Number.NaN;
    if (!(was >= to)) this.most[group] = to;
  }

  private halve(): void {
    const merged = new Float32Array(MOST).fill(Number.NaN);
    for (let group = 0; group < MOST; group += 2) {
      const a = this.most[group] ?? Number.NaN;
      const b = this.most[group + 1] ?? Number.NaN;
      merged[group >> 1] = a >= b || Number.isNaN(b) ? a : b;
    }
    this.most = merged;
    this.size *= 2;
  }

  mark(range: [number, number] | null, token: number | null): void {
    this.range = range;
    this.token = token;
  }

  /** Take the width that there is: before other things change, or the page lays out twice. */
  fit(): void {
    this.wide = this.root.clientWidth;
  }

  /** Colours may be others now. */
  renew(): void {
    this.colours = [];
  }

  /** Frame the tokens in sight. */
  see([first, last]: [number, number]): void {
    this.frame.style.left = `${this.place(first)}px`;
    this.frame.style.width = `${Math.max(2, this.place(last) - this.place(first))}px`;
    this.frame.hidden = first === 0 && last >= this.store.count;
  }

  draw(): void {
    if (!this.wide) this.fit();
    const { wide, store } = this;
    const context = this.canvas.getContext("2d");
    if (!wide || !context || !store.count) return;
    const dense = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(wide * dense)) {
      this.canvas.width = Math.round(wide * dense);
      this.canvas.height = HEIGHT * dense;
    }
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.clearRect(0, 0, wide, HEIGHT);
    if (!this.colours.length)
      this.colours = this.shades(Array.from({ length: SHADES }, (_, at) => at / (SHADES - 1)));
    const { colours } = this;
    const mark = getComputedStyle(this.root);
    if (this.range) {
      context.fillStyle = mark.getPropertyValue("outline-color");
      context.globalAlpha = 0.25;
      const left = this.place(this.range[0]);
      context.fillRect(left, 0, Math.max(1, this.place(this.range[1]) - left), HEIGHT);
      context.globalAlpha = 1;
    }
    const groups = Math.ceil(store.count / this.size);
    // As many columns as there are pixels, each of the least sure tokens that fall on it.
    const columns = Math.min(groups, Math.floor(wide));
    const each = this.place(store.count) / columns;
    for (let column = 0; column < columns; column++) {
      let value = Number.NaN;
      const last = Math.floor(((column + 1) * groups) / columns);
      for (let group = Math.floor((column * groups) / columns); group < last; group++) {
        const one = this.most[group] ?? Number.NaN;
        if (!(value >= one) && !Number.isNaN(one)) value = one;
      }
      if (Number.isNaN(value)) continue;
      context.fillStyle = colours[Math.round(value * (SHADES - 1))] ?? "";
      const high = 3 + value * (HEIGHT - 5);
      context.fillRect(column * each, HEIGHT - high, Math.max(1, each > 3 ? each - 1 : each), high);
    }
    if (this.token !== null) {
      context.fillStyle = mark.color;
      const wideMark = Math.min(Math.max(2, wide / store.count - 1), 6);
      const middle = (this.place(this.token) + this.place(this.token + 1)) / 2;
      context.fillRect(middle - wideMark / 2, 0, wideMark, 3);
    }
  }

  private place(token: number): number {
    // Few tokens stand side by side, and do not fill the width.
    return token * Math.min(12, this.wide / Math.max(1, this.store.count));
  }

  private tokenAt(event: PointerEvent): number {
    const each = Math.min(12, this.wide / Math.max(1, this.store.count));
    const left = event.clientX - this.root.getBoundingClientRect().left;
    return Math.max(0, Math.min(this.store.count - 1, Math.floor(left / each)));
  }
}
