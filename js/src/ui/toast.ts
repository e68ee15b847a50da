// A short text beside a control that says what an action has done. Screen readers get the same text from the status region.

import { element, focusedFrom } from "./dom.ts";

/** Milliseconds for which a text is shown. */
const SHOWN_FOR = 2000;
/** Distance from the control and the window's edges: px. */
const GAP = 6;

export class Toast {
  readonly root = element("div", "deluge-toast");
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly view: HTMLElement,
    private readonly box: HTMLElement,
    signal: AbortSignal,
  ) {
    // In the top layer, so that no open card covers it.
    this.root.setAttribute("popover", "manual");
    this.root.setAttribute("aria-hidden", "true");
    this.root.hidden = typeof this.root.showPopover !== "function";
    signal.addEventListener("abort", () => this.hide());
  }

  /** Show a text, for two seconds or until it is hidden. */
  show(text: string, isLasting = false): void {
    const bounds = this.#bounds();
    this.hide();
    this.root.textContent = text;
    if (typeof this.root.showPopover !== "function") this.root.hidden = false;
    else if (this.root.isConnected) this.root.showPopover();
    const { width, height } = this.root.getBoundingClientRect();
    const below = bounds.bottom + GAP;
    const top = below + height + GAP <= window.innerHeight ? below : bounds.top - height - GAP;
    this.root.style.left = `${Math.max(GAP, Math.min(bounds.left, window.innerWidth - width - GAP))}px`;
    this.root.style.top = `${Math.max(GAP, Math.min(top, window.innerHeight - height - GAP))}px`;
    if (!isLasting) this.#timer = setTimeout(() => this.hide(), SHOWN_FOR);
  }

  hide(): void {
    clearTimeout(this.#timer);
    if (typeof this.root.hidePopover !== "function") this.root.hidden = true;
    else if (this.root.matches(":popover-open")) this.root.hidePopover();
  }

  /** The place of the control that was used; without one, that of the text. */
  #bounds(): DOMRect {
    const focused = focusedFrom(this.view);
    const isControl = focused && this.view.contains(focused) && focused !== this.box;
    // Not over the rows of the card that the control is in.
    const near = isControl ? (focused.closest(".deluge-card") ?? focused) : this.box;
    return near.getBoundingClientRect();
  }
}
