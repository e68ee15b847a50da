// How wide texts are in the font that they are drawn in.

import { element } from "../ui/dom.ts";

const PLAIN = /^[ -~]*$/;

export class Measure {
  private canvas: CanvasRenderingContext2D | null = null;
  /** The width of every plain letter in a font where they all have the same; 0 in others. */
  private letter = 0;

  constructor(private readonly sample: HTMLElement) {}

  /** The font has changed. */
  renew(): void {
    this.canvas = null;
  }

  readonly width = (text: string): number => {
    this.canvas ??= this.prepare();
    // Measuring is most of the work of a layout: most texts of a model are plain.
    if (this.letter && PLAIN.test(text)) return text.length * this.letter;
    return this.canvas ? this.canvas.measureText(text).width : text.length * 8;
  };

  private prepare(): CanvasRenderingContext2D | null {
    const canvas = element("canvas").getContext("2d");
    if (!canvas) return null;
    const style = getComputedStyle(this.sample);
    canvas.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const width = (text: string) => canvas.measureText(text).width;
    const even = ["i", "W", ".", " ", "fi", "->"].every((text) => width(text) === text.length * width("x"));
    this.letter = even ? width("x") : 0;
    return canvas;
  }
}
