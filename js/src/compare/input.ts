// Handles keys, the pointer and copying within the text of a comparison.

import { selectedText, textSelection } from "../text/clipboard.ts";
import { cellAt } from "../text/token_span.ts";
import { focusedFrom, listenUntil } from "../ui/dom.ts";
import { type Action, actionOf, type Move } from "../ui/keyboard.ts";
import { hasOpenMenu, onMenuOpen } from "../ui/menu.ts";
import { onFocusLeave } from "../ui/shell.ts";
import type { Alignment, TokenRef } from "./alignment.ts";
import type { Cards } from "./cards.ts";
import type { Navigation } from "./navigation.ts";
import type { RangeSelection } from "./range_selection.ts";
import type { ResponseBox } from "./response_box.ts";
import type { Tools } from "./tools.ts";

/** The list of keys that the help shows. The keys are read in ui/keyboard.ts. */
export const KEYS: [string, string][] = [
  ["← → ↑ ↓", "previous or next token or line"],
  ["Home End", "first or last token"],
  ["Page ↑ ↓", "ten lines up or down"],
  ["Shift ← → ↑ ↓", "select a range of tokens"],
  ["Ctrl A, Ctrl C", "select the whole answer; copy the selection"],
  ["o", "same place in the other answer"],
  ["n p", "next or previous difference"],
  ["Enter", "open the card; again, go into it"],
  ["Esc", "close the card, clear the selection"],
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
  ranges: RangeSelection;
  tools: Tools | null;
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
    on(box, "mousedown", (event) => {
      if (!event.shiftKey || !tokenOf(event)) return;
      // Select tokens, without selecting the text between two clicks as well.
      event.preventDefault();
      parts.responses.focus();
    });
    on(box, "click", (event) => this.#onClick(event));
    on(box, "keydown", (event) => this.#onKey(event));
    // If no text is selected, Firefox sends the event to the document and not to the focused element.
    document.addEventListener("copy", (event) => this.#onCopy(event), { signal });
    onFocusLeave(root, () => cards.hide(), signal);
    onMenuOpen(root, () => cards.hide(), signal);
  }

  #onClick(event: MouseEvent): void {
    const { navigation, ranges, responses } = this.parts;
    const ref = tokenOf(event);
    if (!ref) return;
    if (event.shiftKey) ranges.extendTo(ref, navigation.current);
    else if (!textSelection(responses.box)) {
      ranges.end();
      navigation.goTo(ref, true);
    }
  }

  #onKey(event: KeyboardEvent): void {
    const { alignment, navigation, ranges } = this.parts;
    const side = navigation.current?.side ?? 0;
    const count = alignment.count(side);
    const hasModifier = event.ctrlKey || event.metaKey;
    if (hasModifier && event.key === "a" && count) {
      ranges.select(side, [0, count]);
      window.getSelection()?.removeAllRanges();
    } else if (hasModifier || event.altKey) return;
    else if (event.key === "o" && navigation.current) {
      ranges.end();
      navigation.goToOtherSide();
    } else {
      const action = actionOf(event.key, count);
      if (!action || !this.#run(action, event.shiftKey)) return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #onCopy(event: ClipboardEvent): void {
    const { alignment, ranges, responses, root } = this.parts;
    const { box } = responses;
    const selected = event.composedPath().includes(root) ? textSelection(box) : null;
    const side = Number(box.dataset["side"] ?? -1);
    const [store, layout] = [alignment.stores[side], responses.layouts[side]];
    const cells = `[data-of="${side}"]`;
    let text = selected && store && layout ? selectedText(selected, box, cells, store, layout) : null;
    // Most of a long text has no elements: copy a selected range from the store.
    if (text === null && focusedFrom(root) === box) text = ranges.text;
    if (text === null || !event.clipboardData) return;
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
    this.parts.notify("copied");
  }

  /** Move, and with Shift select the tokens on the way. */
  #move(move: Move, withShift: boolean): void {
    const { navigation, ranges } = this.parts;
    if (withShift) ranges.start(navigation.current?.token ?? 0);
    else ranges.end();
    if (move.kind === "to") navigation.goToToken(move.token);
    else if (move.kind === "token") navigation.moveByTokens(move.by);
    else navigation.moveByLines(move.by, withShift);
    if (withShift && navigation.current) ranges.extendTo(navigation.current, null);
  }

  /** Returns false if the key is left to the host. */
  #run(action: Action, withShift: boolean): boolean {
    const { cards, navigation, ranges, tools } = this.parts;
    switch (action.kind) {
      case "card":
        if (!navigation.current) return false;
        if (cards.card.isOpen) cards.card.focus();
        else cards.show(navigation.current, true);
        return true;
      case "escape":
        if (cards.card.isOpen) cards.close();
        else if (cards.ref && !navigation.current) cards.hide();
        else if (ranges.range) ranges.clear();
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
      case "token":
      case "line":
        this.#move(action, withShift);
        return true;
      default:
        return tools?.run(action) ?? false;
    }
  }
}

function tokenOf(event: Event): TokenRef | null {
  const data = cellAt(event)?.dataset;
  return data ? { side: Number(data["of"]), token: Number(data["token"]) } : null;
}
