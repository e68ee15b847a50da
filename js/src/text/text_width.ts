// Measures the width of texts in the font of the tokens.

import { element } from "../ui/dom.ts";

const PRINTABLE_ASCII = /^[ -~]*$/;

export class TextWidth {
  #context: CanvasRenderingContext2D | null = null;
  /** The width of a letter in a monospace font; 0 in other fonts. */
  #letterWidth = 0;

  constructor(private readonly sample: HTMLElement) {}

  /** The font has changed. */
  reset(): void {
    this.#context = null;
  }

  /** The width of a text: px. */
  readonly of = (text: string): number => {
    this.#context ??= this.#createContext();
    // Measuring takes most of the time of a layout, and most texts of a model are ASCII.
    if (this.#letterWidth && PRINTABLE_ASCII.test(text)) return text.length * this.#letterWidth;
    return this.#context ? this.#context.measureText(text).width : text.length * 8;
  };

  #createContext(): CanvasRenderingContext2D | null {
    const context = element("canvas").getContext("2d");
    if (!context) return null;
    const style = getComputedStyle(this.sample);
    context.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const width = (text: string) => context.measureText(text).width;
    const isMonospace = ["i", "W", ".", " ", "fi", "->"].every(
      (text) => width(text) === text.length * width("x"),
    );
    this.#letterWidth = isMonospace ? width("x") : 0;
    return context;
  }
}
