// The parts that every view of tokens has around its text: scrolling box, status region, list of keys. Knows nothing of
// what the view shows.

import { element, keepsFocus, listenUntil, rootOf, suppressShortcuts } from "./dom.ts";

/** Classes of the root of a view. With them, a host's MathJax does not typeset dollar signs of a model. */
export const ROOT_CLASSES = "deluge tex2jax_ignore mathjax_ignore";

/** The most lines that are rendered for printing. */
export const MAX_PRINTED_LINES = 20_000;

/** The scrolling box of the text. It keeps the focus while the keys move from token to token. */
export function listbox(label: string, keys: string): HTMLElement {
  const box = suppressShortcuts(element("div", "deluge-box"));
  box.tabIndex = 0;
  box.setAttribute("role", "listbox");
  box.setAttribute("aria-label", label);
  box.setAttribute("aria-keyshortcuts", keys);
  return box;
}

/** The layer within the box on which lines are positioned; screen readers skip it. */
export function lineLayer(): HTMLElement {
  const layer = element("div", "deluge-sheet");
  layer.setAttribute("role", "none");
  return layer;
}

/** A hidden token whose font and height are measured. */
export function sampleToken(): HTMLElement {
  const sample = element("span", "deluge-token deluge-ruler", "x");
  sample.setAttribute("aria-hidden", "true");
  return sample;
}

/** A hidden region whose text screen readers read out whenever it changes. */
export function statusRegion(): HTMLElement {
  const region = element("div", "deluge-spoken");
  region.setAttribute("role", "status");
  return region;
}

/** The list of keys, hidden at first. */
export function keyHelp(keys: [string, string][]): HTMLElement {
  const list = element("dl", "deluge-help");
  list.hidden = true;
  for (const [key, meaning] of keys) list.append(element("dt", "", key), element("dd", "", meaning));
  return list;
}

/** Show the list of keys, also where it would be outside of the window, or hide it. */
export function toggleHelp(help: HTMLElement): void {
  help.hidden = !help.hidden;
  help.scrollIntoView({ block: "nearest" });
}

/** Call a listener once the fonts are loaded: widths measured before are wrong. */
export function onFontsLoaded(listener: () => void, signal: AbortSignal): void {
  if (document.fonts?.status !== "loading") return;
  document.fonts.ready.then(() => {
    if (!signal.aborted) listener();
  });
}

/** If the box was hidden when we scrolled, scroll again once it is visible. (Later changes arrive as a resize.) */
export function onceVisible(box: HTMLElement, scroll: () => void, signal: AbortSignal): void {
  if (box.clientHeight) return;
  requestAnimationFrame(() => {
    if (!signal.aborted && box.clientHeight) scroll();
  });
}

/** Scroll a box, but not the page, until a part of its content is visible; if that was far away, until it is centred. */
export function scrollBoxTo(box: HTMLElement, top: number, height: number): void {
  const { scrollTop, clientHeight } = box;
  const above = scrollTop - top;
  const below = top + height - scrollTop - clientHeight;
  if (Math.max(above, below) > clientHeight) box.scrollTop = top - (clientHeight - height) / 2;
  else if (above > 0) box.scrollTop = top;
  else if (below > 0) box.scrollTop = scrollTop + below;
}

/** Call a listener when the focus leaves an element, or goes to the list in it, which an open card would cover. */
export function onFocusLeave(root: HTMLElement, listener: () => void, signal: AbortSignal): void {
  listenUntil(signal)(root, "focusout", (event) => {
    const to = event.relatedTarget as Element | null;
    if (!keepsFocus() && (!root.contains(to) || to?.closest(".deluge-list"))) listener();
  });
}

/** True if the centre of a token is on the screen; only the token's own card may cover it. */
export function isVisible(token: Element | null, box: HTMLElement, card: HTMLElement): boolean {
  // A host may remove the view from the page without notice.
  const bounds = box.isConnected ? token?.getBoundingClientRect() : null;
  const top =
    bounds &&
    rootOf(box).elementFromPoint((bounds.left + bounds.right) / 2, (bounds.top + bounds.bottom) / 2);
  return !!top && (box.contains(top) || card.contains(top));
}

/** Show the title of a widget, which also names it; without one, `name` does. */
export function showTitle(root: HTMLElement, title: HTMLElement, text: string, name: string): void {
  title.textContent = title.title = text;
  title.hidden = !text;
  // No landmark: a notebook has many widgets, of which most have the same name.
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", text || name);
}
