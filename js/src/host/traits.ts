// Traits of a model, whichever widget's they are.

import type { AnyModel } from "@anywidget/types";

type Names<S> = keyof S & string;

/** Set a trait, and let the other side know. */
export function put<S extends object, K extends Names<S>>(model: AnyModel<S>, name: K, value: S[K]): void {
  model.set(name, value);
  model.save_changes();
}

/** Heed changes of traits until a signal. */
export function heed<S extends object>(
  model: AnyModel<S>,
  names: Names<S>[],
  act: () => void,
  signal: AbortSignal,
): void {
  for (const name of names) model.on(`change:${name}`, act);
  signal.addEventListener("abort", () => {
    for (const name of names) model.off(`change:${name}`, act);
  });
}

/**
 * What heeds a change once all that came with it is there: some hosts tell of each trait of a message before they set the
 * next one.
 */
export function together(act: () => void, signal: AbortSignal): () => void {
  let due = false;
  return () => {
    if (due) return;
    due = true;
    queueMicrotask(() => {
      due = false;
      if (!signal.aborted) act();
    });
  };
}
