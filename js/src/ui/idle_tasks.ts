// Runs long work in slices of 8 ms between frames, so that the page stays responsive.

/** Run a generator in slices until it ends or the signal is aborted. `afterSlice` is called after each slice. */
export function runInSlices(work: Generator<void>, signal: AbortSignal, afterSlice?: () => void): void {
  // Wait for a frame between slices: browsers run timer after timer before a frame that is waiting.
  const schedule = () => {
    if (document.hidden) setTimeout(slice, 0);
    else requestAnimationFrame(() => setTimeout(slice, 0));
  };
  const slice = () => {
    if (signal.aborted) return;
    const end = performance.now() + 8;
    let finished = false;
    while (!finished && performance.now() < end) finished = work.next().done === true;
    afterSlice?.();
    if (!finished) schedule();
  };
  // Leave the first frame to the change that caused the work.
  if (document.hidden) schedule();
  else requestAnimationFrame(schedule);
}

/** Work that may be started again before it ends: a new start stops the previous run. */
export class IdleTask {
  #current = new AbortController();

  constructor(private readonly signal: AbortSignal) {
    signal.addEventListener("abort", () => this.#current.abort());
  }

  start(work: Generator<void>, afterSlice?: () => void): void {
    this.stop();
    if (this.signal.aborted) return;
    this.#current = new AbortController();
    runInSlices(work, this.#current.signal, afterSlice);
  }

  stop(): void {
    this.#current.abort();
  }
}
