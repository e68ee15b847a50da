// What hands do to the text: keys, pointers, copying.

import type { Store } from "../data/store.ts";
import { selectedText, textSelection } from "../text/clipboard.ts";
import type { TextBox } from "../text/text_box.ts";
import { listenUntil, rootOf } from "../ui/dom.ts";
import { type Action, actionOf } from "../ui/keyboard.ts";
import { onFocusLeave } from "../ui/shell.ts";
import type { Desk } from "./cards.ts";
import type { Walk } from "./navigation.ts";
import type { Chosen } from "./selection.ts";

/** What keys ask of other parts. */
export interface Acts {
  search(): void;
  match(by: 1 | -1): void;
  surprise(by: 1 | -1): void;
  list(): void;
  help(): void;
}

export class Hands {
  constructor(
    private readonly root: HTMLElement,
    private readonly store: Store,
    private readonly paper: TextBox,
    private readonly chosen: Chosen,
    private readonly desk: Desk,
    private readonly walk: Walk,
    private readonly acts: Acts,
    signal: AbortSignal,
  ) {
    const { box } = paper;
    // One set of listeners for any number of tokens; all of them go with the view.
    const on = listenUntil(signal);
    on(box, "pointerover", (event) => {
      const token = tokenAt(event);
      if (token !== null && !desk.card.isOpen) desk.show(token);
    });
    on(box, "pointerleave", () => this.unpoint());
    on(box, "mousedown", (event) => {
      if (!event.shiftKey || tokenAt(event) === null) return;
      // Tokens are chosen, and not the text between two clicks as well.
      event.preventDefault();
      paper.focus();
    });
    on(box, "click", (event) => this.click(event));
    on(box, "keydown", (event) => this.press(event));
    // Firefox tells the page, and not the element in focus, where nothing on the page is selected.
    document.addEventListener("copy", (event) => this.copy(event), { signal });
    onFocusLeave(root, () => desk.card.hide(), signal);
  }

  private get isFocused(): boolean {
    return rootOf(this.root).activeElement === this.paper.box;
  }

  private unpoint(): void {
    const { desk, chosen } = this;
    if (desk.card.isOpen) return;
    if (this.isFocused && chosen.token !== null) desk.show(chosen.token);
    else desk.card.hide();
  }

  private click(event: MouseEvent): void {
    const token = tokenAt(event);
    if (token === null) return;
    if (event.shiftKey) this.chosen.extend(token);
    else if (!textSelection(this.paper.box)) {
      this.chosen.leave();
      this.walk.go(token, true);
    }
  }

  private copy(event: ClipboardEvent): void {
    const selected = event.composedPath().includes(this.root) ? textSelection(this.paper.box) : null;
    let text = selected && selectedText(selected, this.store, this.paper.layout);
    const { range } = this.chosen;
    // Most of a long text is not on the page: what was chosen here is copied from what has come.
    if (text === null && range && this.isFocused) {
      text = "";
      for (let token = range[0]; token < range[1]; token++) text += this.store.source(token);
    }
    if (text === null || !event.clipboardData) return;
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  }

  private press(event: KeyboardEvent): void {
    const { count } = this.store;
    const all = (event.ctrlKey || event.metaKey) && event.key === "a" && count > 0;
    if (!all && (event.ctrlKey || event.metaKey || event.altKey)) return;
    const action = all ? null : actionOf(event.key, count);
    if (!all && (!action || (!count && action.kind !== "help"))) return;
    if (action?.kind === "escape" && !this.holds) return;
    // The notebook would take them for its own commands.
    event.preventDefault();
    event.stopPropagation();
    if (action) this.act(action, event.shiftKey);
    else {
      this.chosen.choose([0, count]);
      window.getSelection()?.removeAllRanges();
    }
  }

  private act(action: Action, shift: boolean): void {
    const { acts, chosen, desk, walk } = this;
    const { token } = chosen;
    switch (action.kind) {
      case "token":
      case "line":
      case "to":
        if (shift) chosen.begin(token ?? 0);
        else chosen.leave();
        walk.move(action);
        if (shift) chosen.extend(chosen.token ?? 0);
        return;
      case "escape":
        this.escape();
        return;
      case "card":
        if (desk.card.isOpen && desk.card.token === token) desk.card.focus();
        else walk.go(token ?? 0, true);
        return;
      case "pin":
        if (token !== null) desk.pin(token);
        return;
      case "copy":
        if (token !== null) desk.copy(desk.reading(token));
        return;
      case "surprise":
      case "match":
        acts[action.kind](action.by);
        return;
      default:
        acts[action.kind]();
    }
  }

  /** Whether there is anything to let go: else Escape is the notebook's. */
  private get holds(): boolean {
    const { chosen, desk } = this;
    return desk.card.token !== null || chosen.range !== null || chosen.token !== null;
  }

  /** One thing after another: the open card, what is chosen, the token. */
  private escape(): void {
    const { chosen, desk } = this;
    const { isOpen } = desk.card;
    desk.card.hide();
    if (isOpen) return;
    chosen.leave();
    if (chosen.range) chosen.choose(null);
    else chosen.select(null);
  }
}

function tokenAt(event: Event): number | null {
  const span = (event.target as Element | null)?.closest?.<HTMLElement>("[data-token]");
  return span ? Number(span.dataset["token"]) : null;
}
