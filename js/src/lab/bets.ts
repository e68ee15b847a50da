// A betting game: chips on the ways in which a sentence may end. Python knows the answers, and sends each one only after
// the bet.

import { Kernel } from "../host/kernel.ts";
import { followTheme } from "../host/theme.ts";
import { batchChanges, onChange } from "../host/traits.ts";
import { button, element, input } from "../ui/dom.ts";
import { focusWhileScrolled } from "../ui/scrolled.ts";
import type { BetsModel, Round } from "./model.ts";

export class Bets {
  readonly root = element("section", "deluge-lab deluge-bets mathjax_ignore tex2jax_ignore");
  readonly #question = element("div", "deluge-bets-question");
  readonly #options = element("div", "deluge-bets-options");
  readonly #left = element("output", "deluge-bets-left");
  readonly #bet = button("Bet", "", () => this.#place());
  readonly #bar = element("div", "deluge-bets-bar");
  readonly #status = element("div", "deluge-bets-summary");
  readonly #note = element("div", "deluge-lab-note");
  readonly #history = element("div", "deluge-bets-history");
  readonly #kernel: Kernel;
  #inputs: HTMLInputElement[] = [];
  #isAwaited = false;

  constructor(
    private readonly model: BetsModel,
    signal: AbortSignal,
  ) {
    this.#kernel = new Kernel(
      model,
      this.root,
      (reason) => {
        this.#note.textContent = reason;
        this.#isAwaited = false;
      },
      signal,
    );
    for (const region of [this.#status, this.#note]) region.setAttribute("role", "status");
    this.#question.tabIndex = -1;
    this.#bar.append(this.#bet, this.#left);
    this.root.append(this.#question, this.#options, this.#bar, this.#status, this.#note, this.#history);
    onChange(
      model,
      ["text", "options", "rounds", "summary"],
      batchChanges(() => this.#onAnswer(), signal),
      signal,
    );
    followTheme(this.root, () => {}, signal);
    this.#history.setAttribute("role", "group");
    this.#history.setAttribute("aria-label", "Rounds that were played");
    focusWhileScrolled(this.#history, signal);
    this.#ask();
  }

  #onAnswer(): void {
    const hadFocus = this.root.contains(document.activeElement) || this.root.matches(":focus-within");
    this.#kernel.answered();
    this.#isAwaited = false;
    this.#note.textContent = "";
    this.#ask();
    // The button that was pressed is disabled now, or gone.
    if (hadFocus) (this.#inputs[0] ?? this.#question).focus({ preventScroll: true });
  }

  /** Show the question that is open, or that there is none. */
  #ask(): void {
    const { history, total, text, options, chips } = {
      history: this.model.get("rounds"),
      total: this.model.get("total"),
      text: this.model.get("text"),
      options: this.model.get("options"),
      chips: this.model.get("chips"),
    };
    const isOpen = options.length > 0;
    this.#question.textContent = isOpen
      ? `${history.length + 1} of ${total}: ${text} …`
      : history.length < total
        ? `${history.length} of ${total} played. Open the notebook to go on.`
        : "All played.";
    this.#inputs = options.map(() =>
      input({ type: "range", min: "0", max: String(chips), step: "1", value: "0" }),
    );
    this.#options.replaceChildren(...options.map((option, index) => this.#row(option, index)));
    this.#bar.hidden = !isOpen;
    this.#status.textContent = this.model.get("summary");
    this.#history.replaceChildren(...(history.length ? [historyTable(history)] : []));
    this.#count();
  }

  #row(option: string, index: number): HTMLElement {
    const range = this.#inputs[index] as HTMLInputElement;
    const row = element("label", "deluge-bets-option");
    const placed = element("output", "", "0");
    // The number of chips stands in the label, and is no part of the name.
    range.setAttribute("aria-label", option);
    range.addEventListener("input", () => {
      placed.textContent = range.value;
      this.#count();
    });
    row.append(element("span", "", option), range, placed);
    return row;
  }

  #placed(): number[] {
    return this.#inputs.map((range) => Number(range.value));
  }

  #count(): void {
    const left = this.model.get("chips") - this.#placed().reduce((sum, count) => sum + count, 0);
    const noun = Math.abs(left) === 1 ? "chip" : "chips";
    if (left > 0) this.#left.textContent = `${left} ${noun} left`;
    else this.#left.textContent = left < 0 ? `${-left} ${noun} too many` : "all chips placed";
    this.#bet.disabled = left !== 0;
  }

  #place(): void {
    // The button stays active while Python answers: a browser takes the focus from a disabled one.
    if (!this.#isAwaited) this.#isAwaited = this.#kernel.ask({ bet: this.#placed() });
  }
}

/** The rounds that were played, the last one first. */
function historyTable(rounds: readonly Round[]): HTMLTableElement {
  const table = element("table", "deluge-bets-table");
  const head = table.createTHead().insertRow();
  for (const name of ["Sentence", "You", "Model", "You pay", "Model pays"]) {
    const cell = element("th", "", name);
    cell.scope = "col";
    head.append(cell);
  }
  const body = table.createTBody();
  for (const { text, options, chips, shares, right, paid, model_paid } of [...rounds].reverse()) {
    const total = chips.reduce((sum, count) => sum + count, 0);
    const row = body.insertRow();
    const sentence = element("th", "", `${text} `);
    sentence.scope = "row";
    sentence.append(element("strong", "", options[right] ?? ""));
    row.append(sentence);
    for (const cell of [percent((chips[right] ?? 0) / total), percent(shares[right] ?? 0), paid, model_paid])
      row.insertCell().textContent = cell;
  }
  return table;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
