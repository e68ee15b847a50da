// Long work, a little at a time.

/** Do long work a little at a time, so that no frame waits for it; it ends with the signal. */
export function inSlices(work: Generator<void>, signal: AbortSignal, between?: () => void): void {
  // A frame between two slices: browsers let one timer after another go before a frame that waits.
  const later = () => {
    if (document.hidden) setTimeout(slice, 0);
    else requestAnimationFrame(() => setTimeout(slice, 0));
  };
  const slice = () => {
    if (signal.aborted) return;
    const end = performance.now() + 8;
    let finished = false;
    while (!finished && performance.now() < end) finished = work.next().done === true;
    between?.();
    if (!finished) later();
  };
  // The first frame is for what was asked for.
  if (document.hidden) later();
  else requestAnimationFrame(later);
}

/** Work that is begun again and again, of which only the latest beginning counts. */
export class Chore {
  private current = new AbortController();

  constructor(private readonly signal: AbortSignal) {
    signal.addEventListener("abort", () => this.current.abort());
  }

  begin(work: Generator<void>, between?: () => void): void {
    this.stop();
    if (this.signal.aborted) return;
    this.current = new AbortController();
    inSlices(work, this.current.signal, between);
  }

  stop(): void {
    this.current.abort();
  }
}
