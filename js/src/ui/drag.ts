// A pointer that is held down.

import { hearing } from "./dom.ts";

/** What follows a pointer from where it was pressed. */
export interface Held {
  move(event: PointerEvent): void;
  /** It was let go, and not taken away. */
  drop?(event: PointerEvent): void;
}

/** Follow each pointer that is pressed on an element until it is let go, wherever it moves meanwhile. */
export function followDrags(
  target: HTMLElement,
  press: (event: PointerEvent) => Held,
  signal: AbortSignal,
): void {
  let held: Held | null = null;
  const on = hearing(signal);
  on(target, "pointerdown", (event) => {
    if (event.button) return;
    held = press(event);
    target.setPointerCapture(event.pointerId);
  });
  on(target, "pointermove", (event) => held?.move(event));
  on(target, "pointerup", (event) => {
    held?.drop?.(event);
    held = null;
  });
  on(target, "pointercancel", () => {
    held = null;
  });
}
