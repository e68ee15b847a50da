// Sends each request to Python only once: drawing asks for missing data again and again until it arrives.

export class RequestOnce {
  readonly #pending = new Set<string>();

  constructor(private readonly send: (content: object) => unknown) {}

  /** Send a request, unless an equal one is pending. */
  readonly request = (content: object): void => {
    const key = JSON.stringify(content);
    if (!this.#pending.has(key)) this.send(content);
    this.#pending.add(key);
  };

  /** Call this when an answer has arrived: what is still missing may be requested again. */
  clear(): void {
    this.#pending.clear();
  }
}
