// A view of one completion: creates its parts, and updates them when a trait, the text or the page changes.

import { type Block, unpack } from "../data/codec.ts";
import { type Fragment, Store, type TokenRef } from "../data/store.ts";
import { needsMeasures } from "../data/token_values.ts";
import { ChartLink, type LinkMessage } from "../host/chart_link.ts";
import { Kernel } from "../host/kernel.ts";
import { followTheme } from "../host/theme.ts";
import { onChange, setTrait } from "../host/traits.ts";
import { TextBox, type TextBoxHost } from "../text/text_box.ts";
import { type Appearance, heatColors } from "../text/token_span.ts";
import { shownText } from "../text/whitespace.ts";
import { applyDisplay } from "../ui/display_settings.ts";
import { element, focusedFrom } from "../ui/dom.ts";
import { Legend } from "../ui/legend.ts";
import { type SearchHost, SearchPanel } from "../ui/search_panel.ts";
import { keyHelp, onceVisible, onFontsLoaded, ROOT_CLASSES, statusRegion, toggleHelp } from "../ui/shell.ts";
import { Toast } from "../ui/toast.ts";
import { BranchTree } from "./branches.ts";
import { CARD_TRAITS, Cards, type CardsHost } from "./cards.ts";
import { Input, KEYS } from "./input.ts";
import type { Model, State, ViewState } from "./model.ts";
import { Navigation, type NavigationHost } from "./navigation.ts";
import { Overview, type OverviewHost } from "./overview.ts";
import { Selection } from "./selection.ts";
import { asidesOf, ShortAnswer } from "./short_answer.ts";
import { currentSource, loadDetails } from "./source.ts";
import { SummaryLine } from "./summary_line.ts";
import { Surprises, type SurprisesHost } from "./surprises.ts";
import { TokenStyle } from "./token_style.ts";
import { Toolbar } from "./toolbar.ts";

let viewCount = 0;

export class View implements TextBoxHost, CardsHost, NavigationHost, SearchHost, SurprisesHost, OverviewHost {
  readonly root = element("section", ROOT_CLASSES);
  readonly #idPrefix = `deluge-${++viewCount}`;
  readonly #status = statusRegion();
  readonly #help = keyHelp(KEYS);
  readonly #kernel: Kernel;
  readonly #toast: Toast;
  readonly #store: Store;
  readonly #summary: SummaryLine;
  readonly selection: Selection;
  readonly #style: TokenStyle;
  readonly #textBox: TextBox;
  readonly #cards: Cards;
  readonly #navigation: Navigation;
  readonly #search: SearchPanel;
  readonly #surprises: Surprises;
  readonly #legend: Legend;
  readonly #overview: Overview;
  readonly toolbar: Toolbar;
  readonly #short: ShortAnswer;
  readonly #branchTree: BranchTree;
  readonly #chartLink: ChartLink;

  constructor(
    private readonly model: Model,
    private readonly signal: AbortSignal,
    query = "",
  ) {
    const source = currentSource(model);
    this.#kernel = new Kernel(model, this.root, (reason) => this.#onSilence(reason), signal);
    this.#store = new Store(this.#kernel.request, source.data, this.#kernel.silence);
    loadDetails(this.#store, source);
    this.selection = new Selection(model, this.#store);
    this.#style = new TokenStyle(model, this.#store, this.selection, (token) =>
      this.#search.isMatch({ side: 0, token }),
    );
    this.#textBox = new TextBox(this.#store, this, asidesOf(model, this.#store), signal);
    this.#toast = new Toast(this.root, this.#textBox.box, signal);
    this.#cards = new Cards(model, this.#store, this);
    this.#navigation = new Navigation(this.#store, this.selection, this.#textBox, this.#cards, this);
    this.#search = new SearchPanel([this.#store], this, signal);
    this.#surprises = new Surprises(model, this.#store, this, signal);
    this.#legend = new Legend((limits) => setTrait(model, "limits", limits), signal);
    this.#overview = new Overview(this.#store, this, signal);
    this.toolbar = new Toolbar(model, this.#legend, this.#search, this.#surprises, signal);
    this.#summary = new SummaryLine(this.#store, (text) => this.toolbar.showSummary(text), signal);
    this.#short = new ShortAnswer(this.#store, this.toolbar, (token) => this.#cards.contentOf(token));
    this.#branchTree = new BranchTree(
      model,
      (id) => setTrait(model, "node", id),
      (content, action) => this.ask(content, action),
    );
    this.#chartLink = new ChartLink(model.get("link"), (message) => this.#onChartMessage(message), signal);
    this.#handleInput();
    this.#appendParts();
    this.#listen();
    this.#paintTitle();
    this.#paintStyle();
    this.#paintBranches();
    this.#paintColor();
    this.#surprises.update(0);
    this.#search.restore(query);
  }

  #handleInput(): void {
    new Input(
      {
        root: this.root,
        store: this.#store,
        textBox: this.#textBox,
        selection: this.selection,
        cards: this.#cards,
        navigation: this.#navigation,
        search: this.#search,
        surprises: this.#surprises,
        toggleHelp: () => toggleHelp(this.#help),
        notify: (text) => this.notify(text),
      },
      this.signal,
    );
  }

  #appendParts(): void {
    this.root.append(
      this.toolbar.head,
      this.toolbar.root,
      this.#branchTree.root,
      this.#textBox.box,
      this.#short.bars,
      this.#overview.root,
      this.#summary.range,
      this.#surprises.list.root,
      this.#help,
      this.#cards.pinned.root,
      this.#textBox.sample,
      this.#cards.card.root,
      this.#toast.root,
      this.#status,
    );
  }

  // For the host -------------------------------------------------------------------------------------------------

  /** Lay the text out if the width of its box has changed. */
  arrange(): void {
    this.#kernel.check();
    this.toolbar.fold(this.root.clientWidth);
    this.#overview.measure();
    const change = this.#textBox.arrange();
    if (change) this.#overview.showFor(this.box);
    // Keep the card that the user is reading.
    const { token } = this.#cards.card;
    if (change === "again" && token !== null) this.#textBox.reveal(token);
    if (change === "first" || change === "again") this.scrolled();
    if (change === "again") this.#overview.draw();
    // Nothing could be scrolled to before there was a visible layout.
    if (change === "shown" || (change === "first" && this.selection.token !== null)) this.#paintSelection();
    if (change === "first") this.#updateTotals(0);
  }

  saveState(): ViewState {
    const { box, isAtEnd } = this.#textBox;
    return {
      scrollTop: box.scrollTop,
      isAtEnd,
      // The card disappears with this view; its focus belongs to the text.
      textHadFocus: [box, this.#cards.card.root].some((part) => part.contains(focusedFrom(part))),
      tree: this.#branchTree.saveState(),
      query: this.#search.query,
    };
  }

  restoreState(state: ViewState): void {
    const { box } = this.#textBox;
    box.scrollTop = state.isAtEnd ? box.scrollHeight : state.scrollTop;
    if (state.textHadFocus) this.#textBox.focus();
    this.#branchTree.restoreState(state.tree);
    if (this.model.get("tree").length) this.announce(this.#branchTree.spoken);
  }

  /** Add data that has arrived in a message. */
  receive(part: string, block: Block): void {
    this.#kernel.received();
    if (part === "alternatives") this.#store.receiveAlternatives(block);
    else if (part === "measures") {
      this.#store.receiveMeasures(block);
      if (this.#style.colorBy === "entropy") this.#updateSummary();
    } else if (this.model.get("node") === 0) this.#append(block);
  }

  /** Show the cards again, with what has arrived. */
  refreshCards(): void {
    this.#short.update();
    this.#cards.refresh();
  }

  /** The traits have new data. Returns false if they belong to another completion, which needs a view of its own. */
  update(): boolean {
    if (this.model.get("node") !== 0) return true;
    this.#kernel.received();
    const source = currentSource(this.model);
    if (!this.#append(unpack(source.data))) return false;
    loadDetails(this.#store, source);
    this.refreshCards();
    return true;
  }

  #append(block: Block): boolean {
    const first = this.#store.receiveTokens(block);
    if (first === null) return false;
    this.#summary.invalidate(first);
    this.#textBox.update(this.#short.update() ? 0 : first);
    if (this.#textBox.hasLayout) {
      this.#overview.showFor(this.box);
      this.scrolled();
      this.#updateTotals(first);
    }
    this.#surprises.update(first);
    this.#search.update(first);
    return true;
  }

  // For the parts ------------------------------------------------------------------------------------------------

  get box(): HTMLElement {
    return this.#textBox.box;
  }

  idOf(token: number): string {
    return `${this.#idPrefix}-${token}`;
  }

  shownText(fragment: Fragment): string {
    return shownText(fragment, this.model.get("spaces"));
  }

  appearances(): (token: number) => Appearance {
    return this.#style.appearances();
  }

  colorsOf(heats: number[]): string[] {
    return heatColors(this.root, heats);
  }

  find(token: number): HTMLElement | null {
    return this.#textBox.lines.find(token);
  }

  get current(): TokenRef | null {
    return this.selection.ref;
  }

  goTo({ token }: TokenRef): void {
    this.#navigation.goTo(token);
  }

  announce(text: string): void {
    this.#status.textContent = text;
  }

  /** Say what an action has done, on the screen and to screen readers. */
  notify(text: string): void {
    this.#toast.show(text);
    this.announce(text);
  }

  /** Send a request to the model, and show that it runs. Its branch in the tree is the first sign of an answer. */
  ask(content: object, action = "asking the model"): void {
    if (!this.#kernel.ask(content)) return;
    this.#toast.show(`${action} …`, true);
    this.announce(action);
  }

  #onSilence(reason: string): void {
    this.notify(reason);
    this.refreshCards();
    this.#updateSummary();
  }

  repaint(): void {
    this.#textBox.lines.repaint();
  }

  leave(): void {
    this.#textBox.focus();
  }

  scrolled(): void {
    this.#overview.frameTokens(this.#textBox.lines.visibleTokens());
  }

  resized(): void {
    this.arrange();
  }

  // Painting -----------------------------------------------------------------------------------------------------

  #paintSelection(): void {
    const { box } = this.#textBox;
    const { token } = this.selection;
    this.repaint();
    this.#publishSelection();
    if (token === null) {
      box.removeAttribute("aria-activedescendant");
      this.#cards.card.hide();
      return;
    }
    this.#textBox.reveal(token);
    box.setAttribute("aria-activedescendant", this.idOf(token));
    onceVisible(box, () => this.#paintSelection(), this.signal);
    if (this.#cards.card.token !== null) this.#cards.show(token, this.#cards.card.isOpen);
  }

  #paintRange(): void {
    const { range } = this.selection;
    this.repaint();
    this.#publishSelection();
    this.#updateSummary();
    if (range) this.announce(this.#summary.range.textContent);
  }

  #updateSummary(): void {
    this.#summary.update(this.#style.colorBy, this.selection.range);
  }

  /** Mark the selection in the overview and in linked charts. */
  #publishSelection(): void {
    const { range, token } = this.selection;
    this.#overview.setSelection(range, token);
    this.#overview.draw();
    this.#chartLink.send(range, token);
  }

  #onChartMessage({ from, to, go }: LinkMessage): void {
    if (go !== undefined) {
      this.#navigation.goTo(go);
      return;
    }
    const start = this.selection.selectBetween(from ?? 0, to ?? 0);
    if (start === null) return;
    this.#textBox.reveal(start);
    this.scrolled();
  }

  #paintColor(): void {
    const colorBy = this.model.get("color_by");
    this.#style.colorBy = colorBy;
    if (needsMeasures(colorBy)) this.#store.requestMeasures();
    this.root.dataset["color"] = colorBy;
    this.#overview.resetColors();
    this.#paintLimits();
    this.#updateTotals(0);
  }

  #paintLimits(): void {
    const limits = this.model.get("limits");
    this.#style.setLimits(limits);
    this.#legend.show(this.#style.colorBy, this.#style.scale, limits);
    this.repaint();
  }

  #paintStyle(): void {
    applyDisplay(this.root, this.model);
    this.#repaintOverview();
  }

  #paintTitle(): void {
    this.toolbar.showTitle(this.root, this.model.get("title"), "Tokens coloured by probability");
  }

  #paintBranches(): void {
    this.#kernel.answered();
    this.#toast.hide();
    const changes = this.#branchTree.show();
    if (changes) this.announce(changes);
  }

  /** Update the summary and the overview in idle time: tokens from `first` on have changed. */
  #updateTotals(first: number): void {
    this.#updateSummary();
    if (this.#textBox.hasLayout) this.#overview.update(this.#style.colorBy, first);
  }

  /** Draw the overview in the colours of another palette or theme. */
  #repaintOverview(): void {
    this.#overview.resetColors();
    this.#overview.draw();
  }

  // Listening ----------------------------------------------------------------------------------------------------

  #listen(): void {
    const { signal } = this;
    const on = (names: (keyof State & string)[], listener: () => void) =>
      onChange(this.model, names, listener, signal);
    const layOutAgain = () => {
      this.#textBox.invalidate();
      this.arrange();
    };
    on(["selected"], () => this.#paintSelection());
    on(["selection"], () => this.#paintRange());
    on(["color_by"], () => this.#paintColor());
    on(["limits"], () => this.#paintLimits());
    on(["palette", "boundaries", "font"], () => this.#paintStyle());
    on(["font", "spaces", "before"], layOutAgain);
    on(["threshold"], () => this.#surprises.update(0));
    on(["title"], () => this.#paintTitle());
    on(["tree"], () => this.#paintBranches());
    on(["pinned"], () => this.repaint());
    on([...CARD_TRAITS], () => this.refreshCards());
    on(["measures"], () => this.#onMeasures());
    followTheme(this.root, () => this.#repaintOverview(), signal);
    onFontsLoaded(layOutAgain, signal);
    signal.addEventListener("abort", () => this.#cards.card.hide());
  }

  #onMeasures(): void {
    const measures = this.model.get("measures");
    if (this.model.get("node") !== 0 || !measures?.byteLength) return;
    this.receive("measures", unpack(measures));
    this.refreshCards();
    this.repaint();
    this.#updateTotals(0);
  }
}
