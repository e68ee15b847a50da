// One completion on the screen: its parts, and what they show when the host or the text changes.

import { type Block, unpack } from "../data/codec.ts";
import { Store } from "../data/store.ts";
import { describeRange, Summary } from "../data/summary.ts";
import { needsMeasures } from "../data/token_values.ts";
import { ChartLink, type LinkMessage } from "../host/chart_link.ts";
import { RequestOnce } from "../host/request_once.ts";
import { followTheme } from "../host/theme.ts";
import { onChange, setTrait } from "../host/traits.ts";
import { heatClass } from "../text/line_renderer.ts";
import { TextBox } from "../text/text_box.ts";
import { shownText } from "../text/whitespace.ts";
import { element, rootOf } from "../ui/dom.ts";
import { IdleTask } from "../ui/idle_tasks.ts";
import { Legend } from "../ui/legend.ts";
import { keyHelp, onceVisible, onFontsLoaded, statusRegion } from "../ui/shell.ts";
import { BranchTree } from "./branches.ts";
import { Cards } from "./cards.ts";
import { Input, KEYS } from "./input.ts";
import type { Model, State } from "./model.ts";
import { Navigation } from "./navigation.ts";
import { Overview } from "./overview.ts";
import { SearchPanel } from "./search_panel.ts";
import { Selection } from "./selection.ts";
import { currentSource } from "./source.ts";
import { TokenStyle } from "./token_style.ts";
import { Toolbar } from "./toolbar.ts";

let views = 0;

/** What a drawing hands on to the next one of the same completion. */
export interface ViewState {
  top: number;
  atEnd: boolean;
  textHadFocus: boolean;
  /** Whether the focus was in the tree of branches. */
  treeHadFocus: boolean;
  query: string;
}

export class View {
  readonly root = element("section", "deluge");
  private readonly name = `deluge-${++views}`;
  private readonly title = element("div", "deluge-title");
  private readonly status = statusRegion();
  private readonly help = keyHelp(KEYS);
  private readonly rangeSummary = element("div", "deluge-ranged-sum");
  private readonly store: Store;
  private readonly selection: Selection;
  private readonly style: TokenStyle;
  private readonly textBox: TextBox;
  private readonly cards: Cards;
  private readonly navigation: Navigation;
  private readonly searchPanel: SearchPanel;
  private readonly legend: Legend;
  private readonly overview: Overview;
  private readonly summary: Summary;
  private readonly toolbar: Toolbar;
  private readonly branchTree: BranchTree;
  private readonly chartLink: ChartLink;
  private readonly summaryTask: IdleTask;
  private readonly overviewTask: IdleTask;
  private readonly requests: RequestOnce;

  constructor(
    private readonly model: Model,
    private readonly signal: AbortSignal,
    query = "",
  ) {
    this.requests = new RequestOnce((what) => model.send(what));
    this.store = new Store(this.requests.request, currentSource(model).data);
    this.loadRest();
    this.selection = new Selection(model, this.store);
    this.style = new TokenStyle(model, this.store, this.selection, (token) =>
      this.searchPanel.isMatch(token),
    );
    this.textBox = new TextBox(
      this.store,
      {
        shownText: (fragment) => shownText(fragment, model.get("spaces")),
        idOf: (token) => this.idOf(token),
        appearanceOf: (token) => this.style.appearanceOf(token),
        scrolled: () => this.frameVisible(),
        resized: () => this.arrange(),
      },
      signal,
    );
    const { box, lines } = this.textBox;
    const goTo = (token: number) => this.navigation.goTo(token);
    const announce = (text: string) => {
      this.status.textContent = text;
    };
    const find = (token: number) => lines.find(token);
    const leave = () => this.textBox.focus();
    this.cards = new Cards(model, this.store, { root: this.root, box, find, goTo, announce });
    this.navigation = new Navigation(this.store, this.selection, this.textBox, this.cards, announce, () =>
      this.frameVisible(),
    );
    this.searchPanel = new SearchPanel(
      model,
      this.store,
      {
        toolbar: () => this.toolbar,
        selectedToken: () => this.selection.token,
        goTo,
        announce,
        repaint: () => lines.repaint(),
        leave,
      },
      signal,
    );
    this.legend = new Legend((limits) => setTrait(model, "limits", limits), signal);
    this.overview = new Overview(
      this.store,
      (heats) => this.colorsOf(heats),
      goTo,
      (range) => this.selection.selectRange(range),
      signal,
    );
    this.summary = new Summary(this.store);
    this.summaryTask = new IdleTask(signal);
    this.overviewTask = new IdleTask(signal);
    const match = (by: 1 | -1) => this.searchPanel.goToMatch(by);
    const surprise = (by: 1 | -1) => this.searchPanel.goToSurprise(by);
    const list = () => this.searchPanel.toggleList();
    const searchFor = (text: string) => this.searchPanel.searchFor(text);
    this.toolbar = new Toolbar(
      model,
      this.legend,
      { search: searchFor, match, surprise, list, leave },
      signal,
    );
    const search = () => this.toolbar.focusSearch();
    const help = () => {
      this.help.hidden = !this.help.hidden;
    };
    new Input(
      this.root,
      this.store,
      this.textBox,
      this.selection,
      this.cards,
      this.navigation,
      { search, match, surprise, list, help },
      signal,
    );
    this.branchTree = new BranchTree(model, (id) => setTrait(model, "node", id));
    this.chartLink = new ChartLink(model.get("link"), (message) => this.onChartMessage(message), signal);
    this.root.append(
      this.title,
      this.toolbar.root,
      this.branchTree.root,
      this.overview.root,
      box,
      this.rangeSummary,
      this.searchPanel.list,
      this.help,
      this.cards.pinned.root,
      this.textBox.sample,
      this.cards.card.root,
      this.status,
    );
    this.listen();
    this.paintTitle();
    this.paintStyle();
    this.paintTree();
    this.paintColor();
    this.searchPanel.updateSurprises(0);
    if (query) {
      this.toolbar.setQuery(query);
      this.searchPanel.searchFor(query);
    }
  }

  // What the host asks of it --------------------------------------------------------------------------------------

  /** Lay the text out anew, where its width has changed or was not known yet. */
  arrange(): void {
    this.overview.measure();
    const change = this.textBox.arrange();
    // Whoever reads a card goes on reading it.
    const { token } = this.cards.card;
    if (change === "again" && token !== null) this.textBox.reveal(token);
    if (change === "first" || change === "again") this.frameVisible();
    if (change === "again") this.overview.draw();
    // A selection that was waiting for a width comes into sight.
    if (change === "shown" || (change === "first" && this.selection.token !== null)) this.paintSelection();
    if (change === "first") this.count(0);
  }

  saveState(): ViewState {
    const { box, isAtEnd } = this.textBox;
    return {
      top: box.scrollTop,
      atEnd: isAtEnd,
      // A card goes when another branch comes, and gives the focus back.
      textHadFocus: [box, this.cards.card.root].some((one) => one.contains(rootOf(one).activeElement)),
      treeHadFocus: this.branchTree.hasFocus,
      query: this.toolbar.query,
    };
  }

  restoreState(state: ViewState): void {
    const { box } = this.textBox;
    box.scrollTop = state.atEnd ? box.scrollHeight : state.top;
    if (state.textHadFocus) this.textBox.focus();
    if (state.treeHadFocus) this.branchTree.focus();
    if (this.model.get("tree").length) this.status.textContent = this.branchTree.spoken;
  }

  /** Take a part that has come. */
  receive(part: string, block: Block): void {
    if (part === "alternatives") this.store.receiveAlternatives(block);
    else if (part === "measures") this.store.receiveMeasures(block);
    else if (this.model.get("node") === 0) this.append(block);
  }

  /** Show what has come with a message. */
  refreshCards(): void {
    this.requests.clear();
    this.cards.refresh();
  }

  /** Take the whole again, where it is the same completion and has only grown; whether it was. */
  update(): boolean {
    if (this.model.get("node") !== 0) return true;
    if (!this.append(unpack(this.model.get("data")))) return false;
    this.loadRest();
    this.refreshCards();
    return true;
  }

  private append(block: Block): boolean {
    const first = this.store.receiveTokens(block);
    if (first === null) return false;
    this.summary.invalidate(first);
    this.textBox.update(first);
    if (this.textBox.hasLayout) {
      this.frameVisible();
      this.count(first);
    }
    this.searchPanel.update(first);
    return true;
  }

  private loadRest(): void {
    const { alternatives, measures } = currentSource(this.model);
    if (alternatives?.byteLength) this.store.deferAlternatives(alternatives);
    if (measures?.byteLength) this.store.receiveMeasures(unpack(measures));
  }

  // Painting -----------------------------------------------------------------------------------------------------

  private idOf(token: number): string {
    return `${this.name}-${token}`;
  }

  private paintSelection(): void {
    const { box, lines } = this.textBox;
    const { token } = this.selection;
    lines.repaint();
    this.publishSelection();
    if (token === null) {
      box.removeAttribute("aria-activedescendant");
      this.cards.card.hide();
      return;
    }
    this.textBox.reveal(token);
    box.setAttribute("aria-activedescendant", this.idOf(token));
    onceVisible(box, () => this.paintSelection(), this.signal);
    if (this.cards.card.token !== null) this.cards.show(token, this.cards.card.isOpen);
  }

  private paintRange(): void {
    const { range } = this.selection;
    this.textBox.lines.repaint();
    this.publishSelection();
    const told = range ? describeRange(this.store, range) : "";
    this.rangeSummary.textContent = told;
    if (told) this.status.textContent = told;
  }

  /** On the strip and on the charts. */
  private publishSelection(): void {
    const { range, token } = this.selection;
    this.overview.setSelection(range, token);
    this.overview.draw();
    this.chartLink.send(range, token);
  }

  /** Something was chosen on a chart. */
  private onChartMessage({ from, to, go }: LinkMessage): void {
    const { count } = this.store;
    if (go !== undefined) {
      this.navigation.goTo(go);
      return;
    }
    const start = Math.max(0, Math.min(from ?? 0, count));
    const stop = Math.max(0, Math.min(to ?? 0, count));
    this.selection.selectRange(stop > start ? [start, stop] : null);
    if (stop > start) {
      this.textBox.reveal(start);
      this.frameVisible();
    }
  }

  private paintColor(): void {
    const by = this.model.get("color_by");
    this.style.colorBy = by;
    if (needsMeasures(by)) this.store.requestMeasures();
    this.root.dataset["color"] = by;
    this.overview.resetColors();
    this.paintLimits();
    this.count(0);
  }

  private paintLimits(): void {
    const limits = this.model.get("limits");
    this.style.setLimits(limits);
    this.legend.show(this.style.colorBy, this.style.scale, limits);
    this.textBox.lines.repaint();
  }

  private paintStyle(): void {
    this.root.dataset["palette"] = this.model.get("palette");
    this.root.dataset["font"] = this.model.get("font");
    this.root.toggleAttribute("data-boundaries", this.model.get("boundaries"));
    this.paintOverview();
  }

  private paintTitle(): void {
    const text = this.model.get("title");
    this.title.textContent = text;
    this.title.hidden = !text;
    this.root.setAttribute("aria-label", text || "Tokens coloured by probability");
  }

  private paintTree(): void {
    const news = this.branchTree.show();
    if (news) this.status.textContent = news;
  }

  /** Sums over what is new, and the strip; a little at a time. */
  private count(first: number): void {
    const told = () => {
      this.toolbar.summary.textContent = this.summary.text;
    };
    told();
    if (!this.summary.done) this.summaryTask.start(this.summary.run(), told);
    if (this.textBox.hasLayout)
      this.overviewTask.start(this.overview.collect(this.style.colorBy, first), () => this.overview.draw());
  }

  /** In colours that are others now. */
  private paintOverview(): void {
    this.overview.resetColors();
    this.overview.draw();
  }

  private frameVisible(): void {
    this.overview.frameTokens(this.textBox.lines.visibleTokens());
  }

  /** The colours of heats, as the stylesheet makes them. */
  private colorsOf(heats: number[]): string[] {
    const samples = heats.map((one) => element("span", `deluge-token ${heatClass(one)}`));
    const holder = element("span", "deluge-ruler");
    holder.append(...samples);
    this.root.append(holder);
    const found = samples.map((sample) => getComputedStyle(sample).backgroundColor);
    holder.remove();
    return found;
  }

  // Listening ----------------------------------------------------------------------------------------------------

  private listen(): void {
    const { signal } = this;
    const on = (names: (keyof State & string)[], act: () => void) => onChange(this.model, names, act, signal);
    const relayout = () => {
      this.textBox.resetWidths();
      this.arrange();
    };
    on(["selected"], () => this.paintSelection());
    on(["selection"], () => this.paintRange());
    on(["color_by"], () => this.paintColor());
    on(["limits"], () => this.paintLimits());
    on(["palette", "boundaries", "font"], () => this.paintStyle());
    on(["font", "spaces"], relayout);
    on(["threshold"], () => this.searchPanel.updateSurprises(0));
    on(["title"], () => this.paintTitle());
    on(["tree"], () => this.paintTree());
    on(["pinned"], () => this.textBox.lines.repaint());
    on(["pinned", "temperature", "branching"], () => this.refreshCards());
    on(["measures"], () => {
      const { measures } = currentSource(this.model);
      if (this.model.get("node") !== 0 || !measures?.byteLength) return;
      this.store.receiveMeasures(unpack(measures));
      this.refreshCards();
      this.textBox.lines.repaint();
      this.count(0);
    });
    // The colours of the strip are those of the theme.
    followTheme(this.root, () => this.paintOverview(), signal);
    onFontsLoaded(relayout, signal);
    signal.addEventListener("abort", () => this.cards.card.hide());
  }
}
