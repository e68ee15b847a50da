// The card beside a token: a popover that follows the pointer, or stays open until it is closed. What it says is passed in;
// of the token it knows only the element.

import { element, keepFocus } from "./dom.ts";
import { type Edges, GAP, place } from "./placement.ts";
import { isVisible } from "./shell.ts";

/** The lines of a view, and the rows of a comparison. */
const LINES = ".deluge-pair, .deluge-line:not(.deluge-side)";
/** A card that has less room than this below and above all lines of its token keeps clear of the first one only: px. */
const LEAST_ROOM = 120;

/** The view, as a card uses it. */
export interface CardHost {
  /** The scrolling box of the text. */
  readonly box: HTMLElement;
  /** The element of the card's token, if it is rendered. */
  find(): HTMLElement | null;
  hide(): void;
  /** Hide the card and return the focus to the text. */
  close(): void;
}

export class Card {
  readonly root = element("div", "deluge-card");
  token: number | null = null;
  isOpen = false;
  #anchor: HTMLElement | null = null;
  /** The position of the anchor when the card was placed, and whether it was visible. */
  #anchorPosition = [0, 0];
  #wasVisible = false;
  #frameRequest = 0;

  constructor(private readonly host: CardHost) {
    // Popovers are in the top layer, where no scrolling box and no output area clips them.
    this.root.setAttribute("popover", "manual");
    this.root.hidden = typeof this.root.showPopover !== "function";
    this.root.addEventListener("keydown", (event) => this.#onKey(event));
  }

  show(token: number, children: HTMLElement[], anchor: HTMLElement, isOpen: boolean): void {
    if (token !== this.token) this.root.scrollTop = 0;
    this.token = token;
    this.isOpen = isOpen;
    keepFocus(this.root, () => {
      this.#replaceContent(children);
      this.root.classList.toggle("deluge-open", isOpen);
      if (isOpen) {
        this.root.removeAttribute("aria-hidden");
        this.root.setAttribute("role", "dialog");
        this.root.setAttribute("aria-label", `Alternatives at token ${token + 1}`);
      } else {
        this.root.setAttribute("aria-hidden", "true");
        this.root.removeAttribute("role");
        this.root.removeAttribute("aria-label");
      }
      if (typeof this.root.showPopover === "function") {
        if (!this.root.matches(":popover-open")) this.root.showPopover();
      } else this.root.hidden = false;
      this.#placeBeside(anchor);
    });
  }

  /** Replace the content, but leave an element that stays in place: it may be a slider that is being dragged. */
  #replaceContent(children: HTMLElement[]): void {
    const kept = children.find((child) => child.parentNode === this.root);
    if (!kept) {
      this.root.replaceChildren(...children);
      return;
    }
    for (const child of [...this.root.children]) if (child !== kept) child.remove();
    const index = children.indexOf(kept);
    kept.before(...children.slice(0, index));
    kept.after(...children.slice(index + 1));
  }

  hide(): void {
    this.token = this.#anchor = null;
    this.isOpen = false;
    cancelAnimationFrame(this.#frameRequest);
    this.#frameRequest = 0;
    if (typeof this.root.hidePopover === "function") {
      if (this.root.matches(":popover-open")) this.root.hidePopover();
    } else this.root.hidden = true;
  }

  /** Focus the first control, or that with a selector. */
  focus(control = "button, input"): void {
    this.root.querySelector<HTMLElement>(control)?.focus({ preventScroll: true });
  }

  #onKey(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.host.close();
      return;
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      // Arrow keys move a slider, and otherwise from control to control.
      const controls = [...this.root.querySelectorAll<HTMLElement>("button, input")];
      const index = controls.indexOf(target);
      if (index < 0 || target.tagName === "INPUT") return;
      event.preventDefault();
      const by = event.key === "ArrowDown" ? 1 : controls.length - 1;
      controls[(index + by) % controls.length]?.focus();
    }
    event.stopPropagation();
  }

  /**
   * Keep the card beside its token, and hide it when the token leaves the screen. Checked in every frame, because no event
   * reports all that can move a token: scrolling and resizing anywhere on the page.
   */
  readonly #followAnchor = (): void => {
    this.#frameRequest = 0;
    const { host } = this;
    const anchor = this.#anchor;
    if (!anchor) return;
    const { left, bottom } = anchor.getBoundingClientRect();
    if (left !== this.#anchorPosition[0] || bottom !== this.#anchorPosition[1]) {
      const current = host.find();
      if (current && (!this.#wasVisible || isVisible(current, host.box, this.root)))
        this.#placeBeside(current);
      else host.hide();
    }
    if (this.#anchor) this.#frameRequest ||= requestAnimationFrame(this.#followAnchor);
  };

  #placeBeside(anchor: HTMLElement): void {
    const { root, host } = this;
    const bounds = anchor.getBoundingClientRect();
    this.#anchor = anchor;
    this.#anchorPosition = [bounds.left, bounds.bottom];
    this.#wasVisible = isVisible(anchor, host.box, root);
    this.#frameRequest ||= requestAnimationFrame(this.#followAnchor);
    const { scrollTop, style } = root;
    style.maxHeight = "";
    // The part of the window that is seen, without the page's scrollbars, which window.innerWidth includes.
    const { offsetLeft: left, offsetTop: top, width, height } = visualViewport as VisualViewport;
    const screen = { left, top, right: left + width, bottom: top + height };
    // Where a page is zoomed by its style, lengths in styles are multiplied, but rectangles and the window are not.
    const zoom = root.currentCSSZoom ?? 1;
    style.maxWidth = `${(width - 2 * GAP) / zoom}px`;
    const line = linesOf(anchor, host.box, screen);
    const text = visibleText(host.box);
    const position = place(root.getBoundingClientRect(), bounds.left, line, text, screen);
    style.left = `${position.left / zoom}px`;
    style.top = `${position.top / zoom}px`;
    style.maxHeight = `${position.maxHeight / zoom}px`;
    // Without a limit to its height, the card was not scrolled.
    root.scrollTop = scrollTop;
  }
}

/** The lines on which a token is seen: the line of its first cell, and those of further cells. */
function linesOf(anchor: HTMLElement, box: HTMLElement, screen: Edges): Edges {
  const first = (anchor.closest(LINES) ?? anchor).getBoundingClientRect();
  const { token, of } = anchor.dataset;
  const cells = box.querySelectorAll<HTMLElement>(`[data-token="${token}"]`);
  if (cells.length < 2) return first;
  const { top, bottom } = box.getBoundingClientRect();
  const all = { left: first.left, right: first.right, top: first.top, bottom: first.bottom };
  for (const cell of cells) {
    if (cell.dataset["of"] !== of) continue;
    const line = (cell.closest(LINES) ?? cell).getBoundingClientRect();
    if (line.bottom > top) all.top = Math.min(all.top, Math.max(line.top, top));
    if (line.top < bottom) all.bottom = Math.max(all.bottom, Math.min(line.bottom, bottom));
  }
  const room = Math.max(all.top - screen.top, screen.bottom - all.bottom);
  return room < LEAST_ROOM ? first : all;
}

/** The part of the box that has text. */
function visibleText(box: HTMLElement): Edges {
  const frame = box.getBoundingClientRect();
  const text = { left: frame.right, right: frame.left, top: frame.bottom, bottom: frame.top };
  for (const line of box.querySelectorAll(LINES)) {
    const { left, right, top, bottom } = line.getBoundingClientRect();
    if (bottom <= frame.top || top >= frame.bottom) continue;
    text.left = Math.min(text.left, left);
    text.right = Math.max(text.right, right);
    text.top = Math.min(text.top, top);
    text.bottom = Math.max(text.bottom, bottom);
  }
  return text;
}
