// Requests to Python, and what is said if nothing answers them: a kernel that has ended, or a saved notebook.

import type { AnyModel } from "@anywidget/types";
import { Refusal } from "./static_model.ts";

/** Milliseconds without a sign of life after which a kernel is taken not to answer. */
const PATIENCE = 10_000;

export const NO_KERNEL = "no kernel answers; run the cell again";

/** Jupyter marks the elements of widgets whose model has no kernel: one that was saved, or whose kernel has ended. */
const DISCONNECTED = ".jupyter-widgets-disconnected";

export class Kernel {
  #askTimer: ReturnType<typeof setTimeout> | undefined;
  #dataTimer: ReturnType<typeof setTimeout> | undefined;
  /** Requests for data that are not answered. */
  readonly #requested = new Set<string>();
  #reason = "";

  /**
   * `root` is the element of the widget. `onSilence` is called with the reason, after what runs now, when a request cannot
   * be sent, or is not answered in time.
   */
  constructor(
    private readonly model: Pick<AnyModel, "send">,
    private readonly root: Element,
    private readonly onSilence: (reason: string) => void,
    private readonly signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => {
      this.answered();
      clearTimeout(this.#dataTimer);
    });
  }

  /** Send a message that must be answered in time. Returns false if it cannot be sent. */
  ask(content: object): boolean {
    this.answered();
    if (!this.#send(content)) return false;
    this.#askTimer = setTimeout(() => this.#fail(), PATIENCE);
    return true;
  }

  /** What was asked for last is answered. */
  answered(): void {
    clearTimeout(this.#askTimer);
  }

  /** Request data, unless they were requested: drawing asks again and again until they arrive. */
  readonly request = (content: object): void => {
    const key = JSON.stringify(content);
    if (this.#requested.has(key)) return;
    this.#requested.add(key);
    clearTimeout(this.#dataTimer);
    if (this.#send(content)) this.#dataTimer = setTimeout(() => this.#fail(), PATIENCE);
  };

  /** Data have arrived. What is still missing may be requested again. */
  received(): void {
    clearTimeout(this.#dataTimer);
    this.#requested.clear();
    this.#reason = "";
  }

  /** Why requested data do not come; empty while they may. */
  readonly silence = (): string => this.#reason;

  /** The widget is on its page, where the host marks it: data that were requested before may not come. */
  check(): void {
    if (this.#requested.size && !this.#reason && this.#isDisconnected) this.#fail();
  }

  get #isDisconnected(): boolean {
    return this.root.closest(DISCONNECTED) !== null;
  }

  #send(content: object): boolean {
    // Jupyter drops what a disconnected model sends.
    let reason = NO_KERNEL;
    try {
      if (!this.#isDisconnected) {
        this.model.send(content);
        return true;
      }
    } catch (error) {
      // The kernel has ended, or there never was one.
      if (error instanceof Refusal) reason = error.message;
    }
    this.#fail(reason);
    return false;
  }

  #fail(reason = NO_KERNEL): void {
    this.#reason = reason;
    queueMicrotask(() => {
      if (!this.signal.aborted) this.onSilence(reason);
    });
  }
}
