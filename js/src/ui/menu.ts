// A panel of controls that opens below a button, and closes as menus do.

import { element, suppressShortcuts } from "./dom.ts";

/** True if a menu in an element is open. */
export function hasOpenMenu(root: HTMLElement): boolean {
  return root.querySelector(".deluge-more[open]") !== null;
}

/** A menu. Escape, a press anywhere else on the page and focus that leaves it close it. */
export function menu(name: string, panel: HTMLElement, signal: AbortSignal): HTMLDetailsElement {
  const root = suppressShortcuts(element("details", "deluge-more"));
  const summary = element("summary", "deluge-button", name);
  root.append(summary, panel);
  const close = () => {
    root.open = false;
  };
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !root.open) return;
    close();
    summary.focus({ preventScroll: true });
    event.preventDefault();
    event.stopPropagation();
  });
  root.addEventListener("focusout", ({ relatedTarget }) => {
    // Without a new target the window has lost the focus, or a part of the menu that takes none was pressed.
    if (relatedTarget && !root.contains(relatedTarget as Node)) close();
  });
  const onPress = (event: Event) => {
    if (root.open && !event.composedPath().includes(root)) close();
  };
  // While capturing: a host may keep the event from the page.
  window.addEventListener("pointerdown", onPress, { capture: true, signal });
  return root;
}
