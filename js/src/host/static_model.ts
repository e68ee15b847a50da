// A model with traits and their listeners, and no Python behind it: in a saved page, or for a widget within another.

/** The error of a page that has no Python to ask; its message is shown. */
export class Refusal extends Error {}

type Listener = (...values: never[]) => void;

export class StaticModel {
  readonly #listeners = new Map<string, Set<Listener>>();

  /** `send` takes the messages to Python. */
  constructor(
    private readonly state: Record<string, unknown>,
    readonly send: (content: object) => void,
  ) {}

  get(name: string): unknown {
    return this.state[name];
  }

  set(name: string, value: unknown): void {
    if (this.state[name] === value) return;
    this.state[name] = value;
    for (const listener of this.#listeners.get(`change:${name}`) ?? []) listener();
  }

  on(name: string, listener: Listener): void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
  }

  off(name: string, listener: Listener): void {
    this.#listeners.get(name)?.delete(listener);
  }

  save_changes(): void {}
}
