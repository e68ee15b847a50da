// A comparison of several responses: creates its parts, and updates them when a trait, the data or the page changes.

import { unpack } from "../data/codec.ts";
import { NO_SAMPLER } from "../data/cuts.ts";
import { percent } from "../data/format.ts";
import type { Fragment } from "../data/store.ts";
import { needsMeasures } from "../data/token_values.ts";
import { Kernel } from "../host/kernel.ts";
import { followTheme } from "../host/theme.ts";
import { onChange, setTrait } from "../host/traits.ts";
import type { Appearance } from "../text/token_span.ts";
import { shownText } from "../text/whitespace.ts";
import { applyDisplay } from "../ui/display_settings.ts";
import { element } from "../ui/dom.ts";
import { Legend } from "../ui/legend.ts";
import { keyHelp, onceVisible, onFontsLoaded, ROOT_CLASSES, statusRegion, toggleHelp } from "../ui/shell.ts";
import { Toast } from "../ui/toast.ts";
import { Alignment, type TokenRef } from "./alignment.ts";
import { spokenText } from "./card_content.ts";
import { Cards, type CardsHost } from "./cards.ts";
import { Chart } from "./chart.ts";
import { differenceLegend, Headings } from "./headings.ts";
import { Input, KEYS } from "./input.ts";
import type { Model, State } from "./model.ts";
import { Navigation, type NavigationHost } from "./navigation.ts";
import { RangeSelection } from "./range_selection.ts";
import { ResponseBox, type ResponseBoxHost } from "./response_box.ts";
import { TokenStyle } from "./token_style.ts";
import { Toolbar } from "./toolbar.ts";
import type { createTools, Tools, ToolsHost } from "./tools.ts";

let viewCount = 0;

export class CompareView implements ResponseBoxHost, CardsHost, NavigationHost, ToolsHost {
  readonly root = element("section", `${ROOT_CLASSES} deluge-comparison`);
  readonly #idPrefix = `deluge-c${++viewCount}`;
  readonly #headings = new Headings();
  readonly #status = statusRegion();
  readonly #help: HTMLElement;
  readonly #toast: Toast;
  readonly #kernel: Kernel;
  readonly #alignment: Alignment;
  readonly #tools: Tools | null;
  readonly #ranges: RangeSelection;
  readonly #style: TokenStyle;
  readonly #responses: ResponseBox;
  readonly #cards: Cards;
  readonly #navigation: Navigation;
  readonly #chart: Chart;
  readonly #legend: Legend;
  readonly #differenceLegend: HTMLElement;
  readonly #toolbar: Toolbar;

  constructor(
    private readonly model: Model,
    private readonly signal: AbortSignal,
    addTools?: typeof createTools,
  ) {
    this.#kernel = new Kernel(model, this.root, (reason) => this.#onSilence(reason), signal);
    this.#alignment = new Alignment(
      this.names.length,
      model.get("data"),
      model.get("alignment"),
      (side, content) => this.#kernel.request({ ...content, side }),
      this.#kernel.silence,
    );
    this.#tools = addTools?.(model, this.#alignment, this, signal) ?? null;
    this.#help = keyHelp([...KEYS, ...(this.#tools?.keys ?? [])]);
    this.#ranges = new RangeSelection(model, this.#alignment);
    const selection = () => ({ span: this.#span, current: this.current });
    this.#style = new TokenStyle(this.#alignment, selection, this.#ranges, this.#tools);
    this.#responses = new ResponseBox(this.#alignment, this, signal);
    this.#toast = new Toast(this.root, this.#responses.box, signal);
    this.#cards = new Cards(this.#alignment, this, this.#tools);
    this.#navigation = new Navigation(this.#alignment, this.#responses, this);
    this.#chart = new Chart(this.#alignment, (ref) => this.#navigation.goTo(ref), signal);
    this.#legend = new Legend((limits) => {
      this.#style.setLimits(limits);
      this.#responses.renderer.repaint();
    }, signal);
    this.#differenceLegend = differenceLegend(this.#alignment);
    const legends = [this.#differenceLegend, this.#legend.root];
    const goToDifference = (by: 1 | -1) => this.goToDifference(by);
    this.#toolbar = new Toolbar(model, legends, goToDifference, this.#tools?.controls ?? null, signal);
    this.#handleInput();
    this.#appendParts();
    this.#listen();
    this.#paintTitle();
    this.#paintHeadings();
    this.#paintColor();
    this.#paintChart();
    this.#paintCount();
    this.#tools?.refresh();
    this.#onSelected();
  }

  #handleInput(): void {
    new Input(
      {
        root: this.root,
        responses: this.#responses,
        alignment: this.#alignment,
        cards: this.#cards,
        navigation: this.#navigation,
        ranges: this.#ranges,
        tools: this.#tools,
        clearSelection: () => this.#clearSelection(),
        toggleHelp: () => toggleHelp(this.#help),
        notify: (text) => this.notify(text),
      },
      this.signal,
    );
  }

  #appendParts(): void {
    this.root.append(
      this.#toolbar.head,
      this.#toolbar.root,
      this.#headings.root,
      this.#responses.box,
      this.#headings.below,
      this.#chart.root,
      this.#ranges.root,
      ...(this.#tools?.below ?? []),
      this.#help,
      this.#responses.sample,
      this.#cards.card.root,
      this.#toast.root,
      this.#status,
    );
  }

  /** Lay the text out if the width of its box has changed. */
  arrange(): void {
    this.#kernel.check();
    this.#toolbar.fold(this.root.clientWidth);
    this.#tools?.fold(this.root.clientWidth);
    const change = this.#responses.arrange();
    if (change === "shown") this.#paintSelection();
    if (change !== "first" && change !== "again") return;
    // The headings stand above the columns, which the scrollbar makes narrower.
    this.#headings.root.style.setProperty("--bar", `${this.#responses.scrollbarWidth}px`);
    // Keep the card that the user is reading.
    if (this.#cards.ref) this.#responses.renderer.reveal(this.#cards.ref);
    this.scrolled();
    this.#chart.draw();
    if (change === "first" && this.#navigation.current) this.#paintSelection();
  }

  /** Add data that has arrived for a response. */
  receive(side: number, parts: string[], blocks: DataView[]): void {
    parts.forEach((part, index) => {
      const block = blocks[index];
      if (block) this.#alignment.receive(side, part, unpack(block));
    });
    this.#kernel.received();
    if (parts.includes("measures")) {
      this.#paintChart();
      this.repaint();
      this.#paintShare();
      this.#paintRange();
    }
    this.#refresh();
  }

  // For the parts ------------------------------------------------------------------------------------------------

  get box(): HTMLElement {
    return this.#responses.box;
  }

  get names(): string[] {
    return this.model.get("names");
  }

  get threshold(): number {
    return this.model.get("threshold");
  }

  shownText(fragment: Fragment): string {
    return shownText(fragment, this.model.get("spaces"));
  }

  prefersInterleaved(): boolean {
    return this.model.get("arrange") === "interleaved";
  }

  setInterleaved(isInterleaved: boolean): void {
    this.root.classList.toggle("deluge-interleaved", isInterleaved);
    this.#headings.arrange(isInterleaved);
  }

  idOf({ side, token }: TokenRef): string {
    return `${this.#idPrefix}-${side}-${token}`;
  }

  appearanceOf(ref: TokenRef): Appearance {
    return this.#style.appearanceOf(ref);
  }

  find(ref: TokenRef): HTMLElement | null {
    return this.#responses.renderer.find(ref);
  }

  get current(): TokenRef | null {
    return this.#navigation.current;
  }

  goTo(ref: TokenRef): void {
    this.#ranges.end();
    this.#navigation.goTo(ref);
  }

  refreshCard(): void {
    this.#cards.refresh();
  }

  repaint(): void {
    this.#responses.renderer.repaint();
  }

  leave(): void {
    this.#responses.focus();
  }

  goToDifference(by: 1 | -1): void {
    this.#ranges.end();
    this.#navigation.goToDifference(by);
  }

  announce(text: string): void {
    this.#status.textContent = text;
  }

  /** Say what an action has done, on the screen and to screen readers. */
  notify(text: string): void {
    this.#toast.show(text);
    this.announce(text);
  }

  /** Show cards again, with what has arrived. */
  #refresh(): void {
    this.#cards.refresh();
    this.#tools?.refresh();
  }

  #onSilence(reason: string): void {
    this.notify(reason);
    this.#refresh();
    this.#paintShare();
  }

  scrolled(): void {
    this.#chart.frameUnits(this.#responses.renderer.visibleUnits());
  }

  resized(): void {
    this.arrange();
  }

  /** The selected span, counted through all pairs. */
  get #span(): number | null {
    return this.model.get("selected") ?? null;
  }

  // Painting -----------------------------------------------------------------------------------------------------

  /** Show the token that navigation has moved to. */
  show(ref: TokenRef, isOtherSide: boolean, isOpen: boolean): void {
    const staysOpen = isOpen || this.#cards.card.isOpen;
    const span = this.#alignment.spanOf(ref);
    if (span !== this.#span) setTrait(this.model, "selected", span);
    this.#paintSelection();
    if (isOtherSide) this.#paintCount();
    this.#cards.show(ref, staysOpen);
    this.announce(spokenText(this.#alignment, this.names, ref, this.#tools?.sampler ?? NO_SAMPLER));
  }

  /** The selection has changed, here or in Python. */
  #onSelected(): void {
    this.#navigation.setSpan(this.#span);
    this.#paintSelection();
    if (this.#navigation.current) this.#cards.refresh(this.#navigation.current);
  }

  #clearSelection(): void {
    this.#navigation.current = null;
    setTrait(this.model, "selected", null);
    this.#paintSelection();
  }

  #paintSelection(): void {
    const { current } = this.#navigation;
    const { box, renderer } = this.#responses;
    renderer.repaint();
    this.#chart.setSelected(current);
    if (!this.#responses.hasLayout) return;
    if (!current) {
      box.removeAttribute("aria-activedescendant");
      this.#cards.hide();
      this.#chart.draw();
      return;
    }
    renderer.reveal(current);
    onceVisible(box, () => this.#paintSelection(), this.signal);
    this.scrolled();
    this.#chart.draw();
    box.setAttribute("aria-activedescendant", this.idOf(current));
  }

  #paintColor(): void {
    const colorBy = this.model.get("color_by");
    const { stores } = this.#alignment;
    this.#style.setColorBy(colorBy);
    this.root.dataset["color"] = colorBy;
    this.#differenceLegend.hidden = colorBy !== "difference";
    this.#legend.root.hidden = colorBy === "difference";
    if (colorBy !== "difference") {
      if (needsMeasures(colorBy)) for (const store of stores) store.requestMeasures();
      const scale = stores[0]?.scales[colorBy];
      if (scale) this.#legend.show(colorBy, scale, []);
    }
    this.#paintStyle();
    this.#paintShare();
    this.#paintRange();
    this.repaint();
  }

  #paintRange(): void {
    const colorBy = this.model.get("color_by");
    this.#ranges.paint(colorBy === "difference" ? "surprisal" : colorBy);
  }

  #paintStyle(): void {
    // Differences have their own two hues, whatever the palette.
    const isDifference = this.model.get("color_by") === "difference";
    applyDisplay(this.root, this.model, isDifference ? "amber" : this.model.get("palette"));
  }

  #paintTitle(): void {
    this.#toolbar.showTitle(this.root, this.model.get("title"), "Compared responses");
  }

  #paintHeadings(): void {
    this.#headings.show(this.names, this.model.get("summaries") ?? []);
    this.#paintShare();
  }

  #paintShare(): void {
    const alignment = this.#alignment;
    const share = `A and B share ${percent(alignment.commonShare(1))} of their tokens`;
    const colorBy = this.model.get("color_by");
    const isFew = colorBy !== "difference" && alignment.hasLittleInCommon;
    const silence = colorBy !== "difference" && needsMeasures(colorBy) ? alignment.silence : "";
    const few = isFew ? `too few to compare: coloured by ${colorBy}` : "";
    const note = silence ? `${colorBy}: ${silence}` : few;
    this.#toolbar.showSummary(note ? `${share}, ${note}` : share);
    this.#headings.showNote(note);
  }

  #paintChart(): void {
    this.#chart.setMeasure(this.model.get("measure"));
    this.#chart.draw();
  }

  #paintCount(): void {
    const side = this.#navigation.current?.side ?? 0;
    this.#toolbar.showDifferences(this.#alignment.countDifferences(side, this.threshold));
  }

  // Listening ----------------------------------------------------------------------------------------------------

  #listen(): void {
    const { signal } = this;
    const on = (names: (keyof State & string)[], listener: () => void) =>
      onChange(this.model, names, listener, signal);
    const layOutAgain = () => {
      this.#responses.invalidate();
      this.arrange();
    };
    on(["selected"], () => this.#onSelected());
    on(["selection"], () => {
      this.#paintRange();
      this.repaint();
      if (this.#ranges.range) this.announce(this.#ranges.root.textContent);
    });
    on(["color_by"], () => this.#paintColor());
    on(["palette", "font", "boundaries"], () => this.#paintStyle());
    on(["measure"], () => this.#paintChart());
    on(["threshold"], () => this.#paintCount());
    on(["title"], () => this.#paintTitle());
    on(["names", "summaries"], () => this.#paintHeadings());
    on(["arrange", "font", "spaces"], layOutAgain);
    signal.addEventListener("abort", () => this.#cards.card.hide());
    followTheme(this.root, () => this.#chart.draw(), signal);
    onFontsLoaded(layOutAgain, signal);
  }
}
