// Traits and messages of an anywidget model. Knows no trait by name: each widget lists its own in its model.ts.

import type { AnyModel } from "@anywidget/types";

type Names<S> = keyof S & string;

/** Set a trait and send the change to Python. */
export function setTrait<S extends object, K extends Names<S>>(
  model: AnyModel<S>,
  name: K,
  value: S[K],
): void {
  model.set(name, value);
  model.save_changes();
}

/** Call a listener whenever one of the traits changes, until the signal is aborted. */
export function onChange<S extends object>(
  model: AnyModel<S>,
  names: Names<S>[],
  listener: () => void,
  signal: AbortSignal,
): void {
  for (const name of names) model.on(`change:${name}`, listener);
  signal.addEventListener("abort", () => {
    for (const name of names) model.off(`change:${name}`, listener);
  });
}

/** Call a listener for each message from Python, until the signal is aborted. */
export function onMessage<S extends object, Content>(
  model: AnyModel<S>,
  listener: (content: Content, buffers: DataView[]) => void,
  signal: AbortSignal,
): void {
  model.on("msg:custom", listener);
  signal.addEventListener("abort", () => model.off("msg:custom", listener));
}

/**
 * Wrap a listener so that it runs once per message, after all traits of the message are set: some hosts announce each
 * trait before they set the next one.
 */
export function batchChanges(listener: () => void, signal: AbortSignal): () => void {
  let isScheduled = false;
  return () => {
    if (isScheduled) return;
    isScheduled = true;
    queueMicrotask(() => {
      isScheduled = false;
      if (!signal.aborted) listener();
    });
  };
}
