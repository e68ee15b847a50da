// Handles keys, the pointer and copying within the text of a comparison.

import { selectedText, textSelection } from "../text/clipboard.ts";
import { cellAt } from "../text/token_span.ts";
import { focusedFrom, listenUntil } from "../ui/dom.ts";
import { type Action, actionOf } from "../ui/keyboard.ts";
import { hasOpenMenu, onMenuOpen } from "../ui/menu.ts";
import { onFocusLeave } from "../ui/shell.ts";
import type { Alignment, TokenRef } from "./alignment.ts";
import type { Cards } from "./cards.ts";
import type { Navigation } from "./navigation.ts";
import type { ResponseBox } from "./response_box.ts";

/** The list of keys that the help shows. The keys are read in ui/keyboard.ts. */
export const KEYS: [string, string][] = [
  ["← → ↑ ↓", "previous or next token or line"],
  ["Home End", "first or last token"],
  ["Page ↑ ↓", "ten lines up or down"],
  ["o", "same place in the other response"],
  ["n p", "next or previous difference"],
  ["Enter", "open the card; press again to move into it"],
  ["Esc", "close the card, then clear the selection"],
  ["c", "copy the card as a table"],
  ["?", "show or hide this list"],
];

/** The parts of the view that input acts on. */
export interface InputParts {
  root: HTMLElement;
  responses: ResponseBox;
  alignment: Alignment;
  cards: Cards;
  navigation: Navigation;
  clearSelection(): void;
  toggleHelp(): void;
  notify(text: string): void;
}

export class Input {
  constructor(
    private readonly parts: InputParts,
    signal: AbortSignal,
  ) {
    const { root, cards, navigation } = parts;
    const { box } = parts.responses;
    const on = listenUntil(signal);
    on(box, "pointerover", (event) => {
      const ref = tokenOf(event);
      if (ref && !cards.card.isOpen && !hasOpenMenu(root)) cards.show(ref);
    });
    on(box, "pointerleave", () => {
      if (cards.card.isOpen) return;
      if (focusedFrom(box) === box && navigation.current) cards.show(navigation.current);
      else cards.hide();
    });
    on(box, "pointerdown", (event) => {
      // Limit a text selection to one response, although lines of others lie in between.
      const side = (event.target as Element).closest<HTMLElement>(".deluge-side")?.dataset["side"];
      if (side === undefined) delete box.dataset["side"];
      else box.dataset["side"] = side;
    });
    on(box, "click", (event) => {
      const ref = tokenOf(event);
      if (ref && !textSelection(box)) navigation.goTo(ref, true);
    });
    on(box, "keydown", (event) => this.#onKey(event));
    on(root, "copy", (event) => this.#onCopy(event));
    onFocusLeave(root, () => cards.hide(), signal);
    onMenuOpen(root, () => cards.hide(), signal);
  }

  #onKey(event: KeyboardEvent): void {
    const { alignment, navigation } = this.parts;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "o" && navigation.current) navigation.goToOtherSide();
    else {
      const action = actionOf(event.key, alignment.count(navigation.current?.side ?? 0));
      if (!action || !this.#run(action)) return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #onCopy(event: ClipboardEvent): void {
    const { alignment, responses } = this.parts;
    const range = textSelection(responses.box);
    const side = Number(responses.box.dataset["side"] ?? -1);
    const [store, layout] = [alignment.stores[side], responses.layouts[side]];
    const cells = `[data-of="${side}"]`;
    const text = range && store && layout ? selectedText(range, responses.box, cells, store, layout) : null;
    if (text === null || !event.clipboardData) return;
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
    this.parts.notify("copied");
  }

  /** Returns false if the key is left to the host. */
  #run(action: Action): boolean {
    const { cards, navigation } = this.parts;
    switch (action.kind) {
      case "card":
        if (!navigation.current) return false;
        if (cards.card.isOpen) cards.card.focus();
        else cards.show(navigation.current, true);
        return true;
      case "escape":
        if (cards.card.isOpen) cards.close();
        else if (cards.ref && !navigation.current) cards.hide();
        else if (navigation.current) this.parts.clearSelection();
        // With nothing to close or clear, Escape is passed to the notebook.
        else return false;
        return true;
      case "surprise":
        navigation.goToDifference(action.by);
        return true;
      case "copy":
        if (!navigation.current) return false;
        cards.copy(navigation.current);
        return true;
      case "help":
        this.parts.toggleHelp();
        return true;
      case "to":
        navigation.goToToken(action.token);
        return true;
      case "token":
        navigation.moveByTokens(action.by);
        return true;
      case "line":
        navigation.moveByLines(action.by);
        return true;
      default:
        return false;
    }
  }
}

function tokenOf(event: Event): TokenRef | null {
  const data = cellAt(event)?.dataset;
  return data ? { side: Number(data["of"]), token: Number(data["token"]) } : null;
}
