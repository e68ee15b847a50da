// What is asked of the other side once each: what is on its way need not be asked for again.

export class Asked {
  private readonly waiting = new Set<string>();

  constructor(private readonly send: (what: object) => void) {}

  readonly ask = (what: object): void => {
    const key = JSON.stringify(what);
    if (!this.waiting.has(key)) this.send(what);
    this.waiting.add(key);
  };

  /** Something has come. */
  clear(): void {
    this.waiting.clear();
  }
}
