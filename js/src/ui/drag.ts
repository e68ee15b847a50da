// Follows a pointer while it is pressed.

import { listenUntil } from "./dom.ts";

/** The handlers of one drag. */
export interface Drag {
  move(event: PointerEvent): void;
  /** The pointer was released. Not called if the browser cancels the drag. */
  release?(event: PointerEvent): void;
}

/** Start a drag whenever the pointer is pressed on an element, and follow it wherever it moves. */
export function onDrag(target: HTMLElement, start: (event: PointerEvent) => Drag, signal: AbortSignal): void {
  let drag: Drag | null = null;
  const on = listenUntil(signal);
  on(target, "pointerdown", (event) => {
    if (event.button) return;
    drag = start(event);
    target.setPointerCapture(event.pointerId);
  });
  on(target, "pointermove", (event) => drag?.move(event));
  on(target, "pointerup", (event) => {
    drag?.release?.(event);
    drag = null;
  });
  on(target, "pointercancel", () => {
    drag = null;
  });
}
