// Elements that are scrolled sideways in a narrow column, by keyboard too.

import { suppressShortcuts } from "./dom.ts";

/** Let Tab reach an element while its content is wider than it: the arrow keys then scroll it. */
export function focusWhileScrolled(target: HTMLElement, signal: AbortSignal): void {
  const resized = new ResizeObserver(() => {
    if (target.scrollWidth > target.clientWidth) suppressShortcuts(target).tabIndex = 0;
    else target.removeAttribute("tabindex");
  });
  resized.observe(target);
  signal.addEventListener("abort", () => resized.disconnect());
}
