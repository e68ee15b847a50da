// What views of tokens have around their text, whatever they show of it.

import { element, hearing, treeOf } from "./dom.ts";

/** So many lines are printed. */
export const PRINTED = 20_000;

/** The box that has the focus and the keys, while its tokens are walked through. */
export function listbox(name: string, keys: string): HTMLElement {
  const box = element("div", "deluge-box");
  // Jupyter takes keys before the page does, unless what has the focus asks it not to.
  box.dataset["lmSuppressShortcuts"] = "true";
  box.tabIndex = 0;
  box.setAttribute("role", "listbox");
  box.setAttribute("aria-label", name);
  box.setAttribute("aria-keyshortcuts", keys);
  return box;
}

/** What lines lie on; it is no part of what is read out. */
export function sheet(): HTMLElement {
  const made = element("div", "deluge-sheet");
  made.setAttribute("role", "none");
  return made;
}

/** A token by which others are measured. */
export function ruler(): HTMLElement {
  const made = element("span", "deluge-token deluge-ruler", "x");
  made.setAttribute("aria-hidden", "true");
  return made;
}

/** What a screen reader says when it changes. */
export function status(): HTMLElement {
  const made = element("div", "deluge-spoken");
  made.setAttribute("role", "status");
  return made;
}

/** The list of keys; hidden until it is asked for. */
export function helpOf(keys: [string, string][]): HTMLElement {
  const made = element("dl", "deluge-help");
  made.hidden = true;
  for (const [key, meaning] of keys) made.append(element("dt", "", key), element("dd", "", meaning));
  return made;
}

/** Widths that were measured before a font came are not its own. */
export function heedFonts(act: () => void, signal: AbortSignal): void {
  if (document.fonts?.status !== "loading") return;
  document.fonts.ready.then(() => {
    if (!signal.aborted) act();
  });
}

/**
 * What was brought into sight in the dark is brought there once more, if there is light by the next frame; of light that
 * comes later a resize tells.
 */
export function onceLit(box: HTMLElement, act: () => void, signal: AbortSignal): void {
  if (box.clientHeight) return;
  requestAnimationFrame(() => {
    if (!signal.aborted && box.clientHeight) act();
  });
}

/** Scroll a part of what is in a box into sight, without moving the page; to the middle, where it was far away. */
export function bringIntoSight(box: HTMLElement, top: number, height: number): void {
  const { scrollTop, clientHeight } = box;
  const above = scrollTop - top;
  const below = top + height - scrollTop - clientHeight;
  if (Math.max(above, below) > clientHeight) box.scrollTop = top - (clientHeight - height) / 2;
  else if (above > 0) box.scrollTop = top;
  else if (below > 0) box.scrollTop = scrollTop + below;
}

/** A card goes when the focus leaves its view. */
export function hideOnLeave(root: HTMLElement, hide: () => void, signal: AbortSignal): void {
  hearing(signal)(root, "focusout", (event) => {
    const to = event.relatedTarget as Element | null;
    if (!to || !root.contains(to)) hide();
  });
}

/** Whether the middle of a token is on the screen, and not under something else than its card. */
export function isSeen(token: Element | null, box: HTMLElement, card: HTMLElement): boolean {
  // A host may have taken the view off the page without a word.
  const at = box.isConnected ? token?.getBoundingClientRect() : null;
  const seen = at && treeOf(box).elementFromPoint((at.left + at.right) / 2, (at.top + at.bottom) / 2);
  return !!seen && (box.contains(seen) || card.contains(seen));
}
