// Handles keys, the pointer and copying within the text of one view.

import type { Store } from "../data/store.ts";
import { selectedText, textSelection } from "../text/clipboard.ts";
import type { TextBox } from "../text/text_box.ts";
import { cellAt } from "../text/token_span.ts";
import { focusedFrom, listenUntil } from "../ui/dom.ts";
import { type Action, actionOf } from "../ui/keyboard.ts";
import { hasOpenMenu, onMenuOpen } from "../ui/menu.ts";
import type { SearchPanel } from "../ui/search_panel.ts";
import { onFocusLeave } from "../ui/shell.ts";
import type { Cards } from "./cards.ts";
import type { Navigation } from "./navigation.ts";
import type { Selection } from "./selection.ts";
import type { Surprises } from "./surprises.ts";

/** The list of keys that the help shows. The keys are read in ui/keyboard.ts. */
export const KEYS: [string, string][] = [
  ["← → ↑ ↓", "previous or next token or line"],
  ["Shift ← → ↑ ↓", "select a range of tokens"],
  ["Ctrl A, Ctrl C", "select the whole text; copy the selection"],
  ["Home End", "first or last token"],
  ["Page ↑ ↓", "ten lines up or down"],
  ["Enter", "open the card; again, go into it"],
  ["Esc", "close the card, clear the selection"],
  ["n p", "next or previous surprise"],
  ["s", "list of surprises"],
  ["/", "search; then Enter, or g and G for the next and previous match"],
  ["k", "keep the card below the text"],
  ["c", "copy the card as a table"],
  ["?", "show or hide this list"],
];

/** The parts of the view that input acts on. */
export interface InputParts {
  root: HTMLElement;
  store: Store;
  textBox: TextBox;
  selection: Selection;
  cards: Cards;
  navigation: Navigation;
  search: SearchPanel;
  surprises: Surprises;
  toggleHelp(): void;
  notify(text: string): void;
}

export class Input {
  constructor(
    private readonly parts: InputParts,
    signal: AbortSignal,
  ) {
    const { root, textBox, cards } = parts;
    const { box } = textBox;
    // Listen on the box and not on tokens: one set of listeners serves any number of tokens.
    const on = listenUntil(signal);
    on(box, "pointerover", (event) => {
      const token = tokenOf(event);
      if (token !== null && !cards.card.isOpen && !hasOpenMenu(root)) cards.show(token);
    });
    on(box, "pointerleave", () => this.#onPointerLeave());
    on(box, "mousedown", (event) => {
      if (!event.shiftKey || tokenOf(event) === null) return;
      // Select tokens, without selecting the text between two clicks as well.
      event.preventDefault();
      textBox.focus();
    });
    on(box, "click", (event) => this.#onClick(event));
    on(box, "keydown", (event) => this.#onKey(event));
    // If no text is selected, Firefox sends the event to the document and not to the focused element.
    document.addEventListener("copy", (event) => this.#onCopy(event), { signal });
    onFocusLeave(root, () => cards.card.hide(), signal);
    onMenuOpen(root, () => cards.card.hide(), signal);
  }

  get #hasFocus(): boolean {
    return focusedFrom(this.parts.root) === this.parts.textBox.box;
  }

  #onPointerLeave(): void {
    const { cards, selection } = this.parts;
    if (cards.card.isOpen) return;
    if (this.#hasFocus && selection.token !== null) cards.show(selection.token);
    else cards.card.hide();
  }

  #onClick(event: MouseEvent): void {
    const { textBox, selection, navigation } = this.parts;
    const token = tokenOf(event);
    if (token === null) return;
    if (event.shiftKey) selection.extendTo(token);
    else if (!textSelection(textBox.box)) {
      selection.endRange();
      navigation.goTo(token, true);
    }
  }

  #onCopy(event: ClipboardEvent): void {
    const { root, store, textBox, selection } = this.parts;
    const selected = event.composedPath().includes(root) ? textSelection(textBox.box) : null;
    let text = selected && selectedText(selected, textBox.box, "[data-token]", store, textBox.layout);
    const { range } = selection;
    // Most of a long text has no elements: copy a selected range from the store.
    if (text === null && range && this.#hasFocus) {
      text = "";
      for (let token = range[0]; token < range[1]; token++) text += store.source(token);
    }
    if (text === null || !event.clipboardData) return;
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
    this.parts.notify("copied");
  }

  #onKey(event: KeyboardEvent): void {
    const { store, selection } = this.parts;
    const { count } = store;
    const isSelectAll = (event.ctrlKey || event.metaKey) && event.key === "a" && count > 0;
    if (!isSelectAll && (event.ctrlKey || event.metaKey || event.altKey)) return;
    const action = isSelectAll ? null : actionOf(event.key, count);
    if (!isSelectAll && (!action || (!count && action.kind !== "help"))) return;
    if (action?.kind === "escape" && !this.#canEscape) return;
    // The notebook must not run its own command for the key.
    event.preventDefault();
    event.stopPropagation();
    if (action) this.#run(action, event.shiftKey);
    else {
      selection.selectRange([0, count]);
      window.getSelection()?.removeAllRanges();
    }
  }

  #run(action: Action, withShift: boolean): void {
    const { selection, cards, navigation, search, surprises } = this.parts;
    const { token } = selection;
    switch (action.kind) {
      case "token":
      case "line":
      case "to":
        if (withShift) selection.startRange(token ?? 0);
        else selection.endRange();
        navigation.move(action);
        if (withShift) selection.extendTo(selection.token ?? 0);
        return;
      case "escape":
        this.#escape();
        return;
      case "card":
        if (cards.card.isOpen && cards.card.token === token) cards.card.focus();
        else navigation.goTo(token ?? 0, true);
        return;
      case "pin":
        if (token !== null) cards.togglePin(token);
        return;
      case "copy":
        if (token !== null) cards.copy(cards.contentOf(token));
        return;
      case "surprise":
        surprises.step(action.by);
        return;
      case "match":
        search.goToMatch(action.by);
        return;
      case "list":
        surprises.toggleList();
        return;
      case "search":
        search.focus();
        return;
      case "help":
        this.parts.toggleHelp();
    }
  }

  /** True if Escape has anything to close or clear; if not, the key is passed to the notebook. */
  get #canEscape(): boolean {
    const { selection, cards } = this.parts;
    return cards.card.token !== null || selection.range !== null || selection.token !== null;
  }

  /** Close the open card; with none open, clear the selected range; with none selected, clear the selected token. */
  #escape(): void {
    const { selection, cards } = this.parts;
    const { isOpen } = cards.card;
    cards.card.hide();
    if (isOpen) return;
    selection.endRange();
    if (selection.range) selection.selectRange(null);
    else selection.select(null);
  }
}

function tokenOf(event: Event): number | null {
  const cell = cellAt(event);
  return cell ? Number(cell.dataset["token"]) : null;
}
