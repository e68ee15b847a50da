// A panel of settings that opens below a button, and closes as menus do.

import { element, suppressShortcuts } from "./dom.ts";

export interface Menu {
  root: HTMLDetailsElement;
  panel: HTMLElement;
}

/** True if a menu in an element is open. */
export function hasOpenMenu(root: HTMLElement): boolean {
  return root.querySelector(".deluge-more[open]") !== null;
}

/** Call a listener when a menu in an element opens: one popup is open at a time. */
export function onMenuOpen(root: HTMLElement, listener: () => void, signal: AbortSignal): void {
  const onToggle = () => {
    if (hasOpenMenu(root)) listener();
  };
  // The event does not bubble.
  root.addEventListener("toggle", onToggle, { capture: true, signal });
}

/** A control with its name. In the bar the name is not shown. */
export function setting(name: string, control: HTMLElement): HTMLElement {
  const label = element("label", "deluge-setting");
  label.append(element("span", "", name), control);
  return label;
}

/**
 * A menu of settings, which are created when it is opened for the first time. Escape, a press anywhere else on the page and
 * focus that leaves it close it.
 */
export function menu(name: string, createSettings: () => HTMLElement[], signal: AbortSignal): Menu {
  const root = suppressShortcuts(element("details", "deluge-more"));
  const summary = element("summary", "deluge-button", name);
  const panel = element("div", "deluge-panel");
  root.append(summary, panel);
  let create = createSettings;
  const fill = () => {
    panel.append(...create());
    create = () => [];
  };
  // Before the menu opens. A search of the browser opens it without a click.
  summary.addEventListener("click", fill);
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
  root.addEventListener("toggle", () => {
    fill();
    keepOnPage(root, panel);
  });
  const onPress = (event: Event) => {
    if (root.open && !event.composedPath().includes(root)) close();
  };
  // While capturing: a host may keep the event from the page.
  window.addEventListener("pointerdown", onPress, { capture: true, signal });
  return { root, panel };
}

/** Move a panel to the left until it is within the widget and the page. */
function keepOnPage(root: HTMLElement, panel: HTMLElement): void {
  panel.style.marginLeft = "";
  const widget = root.closest(".deluge") ?? root;
  const [around, own] = [widget.getBoundingClientRect(), panel.getBoundingClientRect()];
  const overflow = own.right - Math.min(around.right, document.documentElement.clientWidth);
  if (overflow > 0) panel.style.marginLeft = `${-Math.min(overflow, own.left - around.left)}px`;
}
