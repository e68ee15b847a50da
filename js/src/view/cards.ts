// The cards of one view: the one beside a token, and those that are kept.

import type { Store } from "../data/store.ts";
import { setTrait } from "../host/traits.ts";
import { type BranchOptions, Card, CardContent, renderContent } from "../ui/card.ts";
import { button, element, rootOf } from "../ui/dom.ts";
import type { Model } from "./model.ts";

export interface Around {
  root: HTMLElement;
  box: HTMLElement;
  find(token: number): HTMLElement | null;
  go(token: number): void;
  say(text: string): void;
}

export class Desk {
  readonly card: Card;
  readonly pins = new Pins(
    (token) => this.pin(token),
    (token) => this.around.go(token),
  );

  /** The same for all cards, so that it can be dragged while they change. */
  private readonly heat = element("label", "deluge-heat", "temperature ");
  private readonly slider = element("input");
  private readonly told = element("span", "deluge-value");

  constructor(
    private readonly model: Model,
    private readonly store: Store,
    private readonly around: Around,
  ) {
    this.card = new Card({
      box: around.box,
      find: () => (this.card.token === null ? null : around.find(this.card.token)),
      hide: () => this.card.hide(),
      close: () => this.close(),
    });
    const { slider } = this;
    slider.type = "range";
    slider.min = "0";
    slider.max = "2";
    slider.step = "0.05";
    slider.dataset["lmSuppressShortcuts"] = "true";
    slider.addEventListener("input", () => setTrait(this.model, "temperature", Number(slider.value)));
    this.heat.append(slider, this.told);
  }

  reading(token: number): CardContent {
    this.store.requestMeasures();
    return new CardContent(this.store, token, this.store.alternatives(token), this.model.get("temperature"));
  }

  show(token: number, open = false): void {
    const at = this.around.find(token);
    if (!at || token >= this.store.count) return;
    const reading = this.reading(token);
    const children = renderContent(reading, open ? this.hooks : null);
    if (open) children.push(...this.controls(reading));
    this.card.show(token, children, at, open);
  }

  /** Something that cards say has changed. */
  refresh(): void {
    if (this.card.token !== null) this.show(this.card.token, this.card.isOpen);
    const there = this.model.get("pinned").filter((token) => token < this.store.count);
    this.pins.show(there, (token) => this.reading(token));
  }

  pin(token: number): void {
    const pinned = this.model.get("pinned");
    const kept = !pinned.includes(token);
    setTrait(this.model, "pinned", kept ? [...pinned, token] : pinned.filter((one) => one !== token));
    this.around.say(kept ? "card kept" : "card dropped");
  }

  copy(reading: CardContent): void {
    const text = reading.table;
    const done = () => this.around.say("copied");
    if (!navigator.clipboard) copyByHand(text, done);
    else navigator.clipboard.writeText(text).then(done, () => copyByHand(text, done));
  }

  close(): void {
    const within = this.card.root.contains(rootOf(this.around.root).activeElement);
    this.card.hide();
    if (within) this.around.box.focus({ preventScroll: true });
  }

  private get hooks(): BranchOptions {
    const reason = this.model.get("branching");
    const branch = (token: number, place: number) => {
      this.model.send({ branch: { node: this.model.get("node"), token, place } });
      this.around.say("asking the model");
    };
    return { branch: reason === "" ? branch : null, whyNot: reason ?? "" };
  }

  private controls(reading: CardContent): HTMLElement[] {
    this.slider.value = String(reading.temperature);
    this.told.textContent = reading.temperature.toFixed(2);
    const acts = element("div", "deluge-acts");
    const kept = this.model.get("pinned").includes(reading.token);
    acts.append(
      button(
        kept ? "drop" : "keep",
        kept ? "Drop the card below the text (k)" : "Keep the card below the text (k)",
        () => {
          this.pin(reading.token);
          // It would lie over those that are kept.
          this.close();
        },
      ),
      button("copy", "Copy as a table (c)", () => this.copy(reading)),
      button("close", "Close (Escape)", () => this.close()),
    );
    const made = reading.rows.length ? [this.heat, acts] : [acts];
    const { whyNot } = this.hooks;
    if (whyNot) made.push(element("div", "deluge-card-facts", whyNot));
    return made;
  }
}

/** Cards that are kept below the text, to be compared. */
class Pins {
  readonly root = element("div", "deluge-pins");

  constructor(
    private readonly drop: (token: number) => void,
    private readonly go: (token: number) => void,
  ) {
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Kept cards");
    this.root.hidden = true;
  }

  show(tokens: number[], read: (token: number) => CardContent): void {
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
        card.append(acts, ...renderContent(read(token), null));
        return card;
      }),
    );
    if (focused >= 0) this.root.querySelectorAll("button")[focused]?.focus({ preventScroll: true });
  }
}

/** Where a page may not write to the clipboard, a copy that the user asked for may still be filled. */
function copyByHand(text: string, done: () => void): void {
  const fill = (event: ClipboardEvent) => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    event.stopImmediatePropagation();
    done();
  };
  document.addEventListener("copy", fill, { once: true, capture: true });
  document.execCommand("copy");
  document.removeEventListener("copy", fill, { capture: true });
}
