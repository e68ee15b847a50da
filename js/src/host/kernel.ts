// Requests to Python, and what is said if nothing answers them: a kernel that has ended, or a saved notebook.

import type { AnyModel } from "@anywidget/types";

/** Milliseconds without a sign of life after which a kernel is taken not to answer. */
const PATIENCE = 10_000;

export const NO_KERNEL = "no kernel answers; run the cell again";

export class Kernel {
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `onSilence` is called when a request cannot be sent, or is not answered in time. */
  constructor(
    private readonly model: Pick<AnyModel, "send">,
    private readonly onSilence: () => void,
    signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => this.answered());
  }

  /** Send a message. Returns false if that is impossible. */
  readonly send = (content: object): boolean => {
    try {
      this.model.send(content);
      return true;
    } catch {
      this.answered();
      this.onSilence();
      return false;
    }
  };

  /** Send a message that must be answered in time. Returns false if it cannot be sent. */
  ask(content: object): boolean {
    this.answered();
    if (!this.send(content)) return false;
    this.#timer = setTimeout(this.onSilence, PATIENCE);
    return true;
  }

  /** Something has come from Python. */
  answered(): void {
    clearTimeout(this.#timer);
  }
}
