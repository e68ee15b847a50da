// A minimal host of the widgets of the course: its model is a dictionary that announces changes.

import type { AnyModel } from "@anywidget/types";

type Listener = (...values: never[]) => void;

export class Host<S extends object> {
  readonly sent: object[] = [];
  /** The number of times that changes were sent to Python. */
  saved = 0;
  readonly #state: S;
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(state: S) {
    this.#state = { ...state };
  }

  readonly get = <K extends keyof S>(name: K): S[K] => this.#state[name];
  readonly set = <K extends keyof S>(name: K, value: S[K]): void => {
    if (this.#state[name] === value) return;
    this.#state[name] = value;
    for (const listener of this.#listeners.get(`change:${String(name)}`) ?? []) listener();
  };
  readonly save_changes = (): void => {
    this.saved++;
  };
  readonly send = (content: object): void => {
    this.sent.push(content);
  };
  readonly on = (name: string, listener: Listener): void => {
    this.#listeners.set(name, (this.#listeners.get(name) ?? new Set()).add(listener));
  };
  readonly off = (name: string, listener: Listener): void => {
    this.#listeners.get(name)?.delete(listener);
  };

  /** The number of listeners that are left. */
  get listeners(): number {
    return [...this.#listeners.values()].reduce((sum, listeners) => sum + listeners.size, 0);
  }

  get model(): AnyModel<S> {
    return this as unknown as AnyModel<S>;
  }
}
