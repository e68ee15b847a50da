// Cards that are kept below the text, to be compared.

import { content, type Reading } from "./card.ts";
import { button, element } from "./dom.ts";

export class Pins {
  readonly root = element("div", "deluge-pins");

  constructor(
    private readonly drop: (token: number) => void,
    private readonly go: (token: number) => void,
  ) {
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Kept cards");
    this.root.hidden = true;
  }

  show(tokens: number[], read: (token: number) => Reading): void {
    this.root.hidden = tokens.length === 0;
    const focused = [...this.root.querySelectorAll("button")].indexOf(
      (this.root.getRootNode() as Document | ShadowRoot).activeElement as HTMLButtonElement,
    );
    this.root.replaceChildren(
      ...tokens.map((token) => {
        const card = element("div", "deluge-pin");
        const acts = element("div", "deluge-acts");
        acts.append(
          button(`token ${token + 1}`, `Go to token ${token + 1}`, () => this.go(token)),
          button("×", `Drop the card of token ${token + 1}`, () => this.drop(token)),
        );
        card.append(acts, ...content(read(token), null));
        return card;
      }),
    );
    if (focused >= 0) this.root.querySelectorAll("button")[focused]?.focus({ preventScroll: true });
  }
}
