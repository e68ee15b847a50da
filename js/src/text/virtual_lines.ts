// Keeps elements only for the lines that are visible or nearly so. Knows neither what a line contains nor how lines are
// laid out.

export class VirtualLines {
  readonly #rendered = new Map<number, HTMLElement>();

  constructor(
    private readonly layer: HTMLElement,
    private readonly render: (line: number) => HTMLElement,
    /** The distance of a line from the top of the layer: px. */
    private readonly topOf: (line: number) => number,
  ) {}

  /** Render the lines from `first` to before `end`, and remove all others. */
  show(first: number, end: number): void {
    this.#remove((line) => line < first || line >= end);
    const added = document.createDocumentFragment();
    for (let line = first; line < end; line++) {
      const existing = this.#rendered.get(line);
      if (existing) {
        // In the order of the text, which selections and screen readers follow.
        existing.before(added);
        continue;
      }
      const root = this.render(line);
      root.style.top = `${this.topOf(line)}px`;
      this.#rendered.set(line, root);
      added.append(root);
    }
    this.layer.append(added);
  }

  /** Remove the lines from `first` on. */
  removeFrom(first: number): void {
    this.#remove((line) => line >= first);
  }

  /** The elements of all cells. */
  cells(): NodeListOf<HTMLElement> {
    return this.layer.querySelectorAll("[data-token]");
  }

  #remove(isRemoved: (line: number) => boolean): void {
    for (const [line, root] of this.#rendered) {
      if (!isRemoved(line)) continue;
      root.remove();
      this.#rendered.delete(line);
    }
  }
}
