// What hands do to a comparison: keys, pointers, copying.

import { selectedText, textSelection } from "../text/clipboard.ts";
import type { Layout } from "../text/layout.ts";
import { listenUntil, rootOf } from "../ui/dom.ts";
import { type Action, actionOf } from "../ui/keyboard.ts";
import { onFocusLeave } from "../ui/shell.ts";
import type { Comparison, Place } from "./alignment.ts";
import type { Desk } from "./cards.ts";
import type { Walk } from "./navigation.ts";

export const KEYS: [string, string][] = [
  ["← → ↑ ↓", "token or line before, after"],
  ["Home End", "first, last token"],
  ["Page ↑ ↓", "ten lines"],
  ["o", "the other response, at the same text"],
  ["n p", "next, previous difference"],
  ["Enter", "open the card; again to go into it"],
  ["Esc", "close the card, then let go"],
  ["?", "these keys"],
];

export interface Acts {
  /** Select nothing. */
  leave(): void;
  help(): void;
}

export class Hands {
  constructor(
    root: HTMLElement,
    private readonly box: HTMLElement,
    private readonly comparison: Comparison,
    private readonly layouts: Layout[],
    private readonly desk: Desk,
    private readonly walk: Walk,
    private readonly acts: Acts,
    signal: AbortSignal,
  ) {
    const on = listenUntil(signal);
    on(box, "pointerover", (event) => {
      const place = placeAt(event);
      if (place && !desk.card.isOpen) desk.show(place);
    });
    on(box, "pointerleave", () => {
      if (desk.card.isOpen) return;
      if (rootOf(box).activeElement === box && walk.at) desk.show(walk.at);
      else desk.hide();
    });
    on(box, "pointerdown", (event) => {
      // What is chosen with the pointer is of one response, though the lines of others lie between.
      const side = (event.target as Element).closest<HTMLElement>(".deluge-side")?.dataset["side"];
      if (side === undefined) delete box.dataset["side"];
      else box.dataset["side"] = side;
    });
    on(box, "click", (event) => {
      const place = placeAt(event);
      if (place && !textSelection(box)) walk.go(place, true);
    });
    on(box, "keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "o" && walk.at) walk.otherSide();
      else {
        const action = actionOf(event.key, comparison.count(walk.at?.side ?? 0));
        if (!action || !this.act(action)) return;
      }
      event.preventDefault();
      event.stopPropagation();
    });
    on(root, "copy", (event) => this.copy(event));
    onFocusLeave(root, () => desk.hide(), signal);
  }

  private copy(event: ClipboardEvent): void {
    const range = textSelection(this.box);
    const side = Number(this.box.dataset["side"] ?? -1);
    const [store, layout] = [this.comparison.stores[side], this.layouts[side]];
    const text = range && store && layout ? selectedText(range, store, layout) : null;
    if (text === null || !event.clipboardData) return;
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  }

  private act(action: Action): boolean {
    const { desk, walk } = this;
    switch (action.kind) {
      case "card":
        if (!walk.at) return false;
        if (desk.card.isOpen) desk.card.focus();
        else desk.show(walk.at, true);
        return true;
      case "escape":
        if (desk.card.isOpen) desk.close();
        else if (desk.place && !walk.at) desk.hide();
        else if (walk.at) this.acts.leave();
        // With nothing to let go it is the notebook's.
        else return false;
        return true;
      case "surprise":
        walk.step(action.by);
        return true;
      case "help":
        this.acts.help();
        return true;
      case "to":
        walk.to(action.token);
        return true;
      case "token":
        walk.byTokens(action.by);
        return true;
      case "line":
        walk.byLines(action.by);
        return true;
      default:
        return false;
    }
  }
}

function placeAt(event: Event): Place | null {
  const span = (event.target as Element | null)?.closest?.<HTMLElement>("[data-token]");
  return span ? { side: Number(span.dataset["of"]), token: Number(span.dataset["token"]) } : null;
}
