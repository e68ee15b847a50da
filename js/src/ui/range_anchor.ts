// The fixed end of a range of tokens while keys or the pointer move its other end.

export class RangeAnchor {
  #token: number | null = null;

  /** Start a range at a token, unless one is being selected. */
  start(token: number): void {
    this.#token ??= token;
  }

  /** The range up to a token, its end excluded; without a start it begins at `current`. */
  rangeTo(token: number, current: number | null): [start: number, stop: number] {
    this.#token ??= current ?? token;
    return [Math.min(this.#token, token), Math.max(this.#token, token) + 1];
  }

  /** Let the next range start elsewhere. */
  end(): void {
    this.#token = null;
  }
}
