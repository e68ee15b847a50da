// Several completions on the screen, aligned by their text: their parts, and what they show when something changes.

import { unpack } from "../data/codec.ts";
import { sharePercent } from "../data/format.ts";
import type { ColorBy } from "../data/scale.ts";
import { needsMeasures } from "../data/token_values.ts";
import { RequestOnce } from "../host/request_once.ts";
import { followTheme } from "../host/theme.ts";
import { onChange, setTrait } from "../host/traits.ts";
import { Layout } from "../text/layout.ts";
import { TextWidth } from "../text/text_width.ts";
import { element } from "../ui/dom.ts";
import { IdleTask } from "../ui/idle_tasks.ts";
import { Legend } from "../ui/legend.ts";
import {
  keyHelp,
  lineLayer,
  listbox,
  MAX_PRINTED_LINES,
  onceVisible,
  onFontsLoaded,
  sampleToken,
  statusRegion,
} from "../ui/shell.ts";
import { Alignment, type TokenRef } from "./alignment.ts";
import { spokenText } from "./card_content.ts";
import { Cards } from "./cards.ts";
import { Chart } from "./chart.ts";
import { differenceLegend, renderHeadings } from "./headings.ts";
import { Input, KEYS } from "./input.ts";
import type { Model, State } from "./model.ts";
import { Navigation } from "./navigation.ts";
import { RowLayout } from "./row_layout.ts";
import { RowRenderer } from "./row_renderer.ts";
import { TokenStyle } from "./token_style.ts";
import { Toolbar } from "./toolbar.ts";

let views = 0;
/** Columns narrower than this are laid one above the other: px. */
const NARROWEST = 250;
/** The space within a column, and where the letters stand: px. */
const INSET = 12;
const MARGIN = 26;

export class CompareView {
  readonly root = element("section", "deluge deluge-comparison");
  private readonly name = `deluge-c${++views}`;
  private readonly title = element("div", "deluge-title");
  private readonly headings = element("div", "deluge-heads");
  private readonly box = listbox("Tokens of the responses", "n p o ?");
  private readonly layer = lineLayer();
  private readonly sample = sampleToken();
  private readonly status = statusRegion();
  private readonly help = keyHelp(KEYS);
  private readonly alignment: Alignment;
  private readonly rows: RowLayout;
  private readonly tokenStyle: TokenStyle;
  private readonly renderer: RowRenderer;
  private readonly chart: Chart;
  private readonly toolbar: Toolbar;
  private readonly legend: Legend;
  private readonly differenceLegend: HTMLElement;
  private readonly cards: Cards;
  private readonly navigation: Navigation;
  private readonly layoutTask: IdleTask;
  private readonly textWidth = new TextWidth(this.sample);
  private width = -1;
  private height = 0;
  private isHidden = true;
  private readonly requests: RequestOnce;

  constructor(
    private readonly model: Model,
    private readonly signal: AbortSignal,
  ) {
    this.requests = new RequestOnce((what) => model.send(what));
    this.alignment = new Alignment(
      this.names.length,
      model.get("data"),
      model.get("alignment"),
      (side, what) => this.requests.request({ ...what, side }),
    );
    const layouts = this.alignment.stores.map(
      (store) => new Layout(store, this.textWidth.of, (stretch) => stretch.shown),
    );
    this.rows = new RowLayout(this.alignment, layouts);
    this.tokenStyle = new TokenStyle(this.alignment, () => ({
      span: this.span,
      current: this.navigation.current,
    }));
    this.renderer = new RowRenderer(
      this.box,
      this.layer,
      this.alignment,
      this.rows,
      () => this.lineHeight(),
      (ref) => this.idOf(ref),
      (ref) => this.tokenStyle.appearanceOf(ref),
    );
    const goToDifference = (by: 1 | -1) => this.navigation.goToDifference(by);
    this.cards = new Cards(this.alignment, {
      box: this.box,
      names: () => this.names,
      find: (ref) => this.renderer.find(ref),
      goToDifference,
    });
    this.navigation = new Navigation(this.alignment, this.rows, this.renderer, {
      threshold: () => model.get("threshold"),
      show: (ref, isOtherSide, open) => this.show(ref, isOtherSide, open || this.cards.card.isOpen),
      announce: (text) => {
        this.status.textContent = text;
      },
    });
    this.chart = new Chart(this.alignment, (ref) => this.navigation.goTo(ref), signal);
    this.legend = new Legend((limits) => {
      this.tokenStyle.setLimits(limits);
      this.renderer.repaint();
    }, signal);
    this.differenceLegend = differenceLegend(this.alignment);
    this.toolbar = new Toolbar(model, [this.differenceLegend, this.legend.root], goToDifference, signal);
    this.layoutTask = new IdleTask(signal);
    const clearSelection = () => {
      this.navigation.current = null;
      setTrait(model, "selected", null);
      this.paintSelection();
    };
    const help = () => {
      this.help.hidden = !this.help.hidden;
    };
    const actions = { clearSelection, help };
    new Input(this.root, this.box, this.alignment, layouts, this.cards, this.navigation, actions, signal);
    this.box.append(this.layer);
    this.root.append(
      this.title,
      this.toolbar.root,
      this.chart.root,
      this.headings,
      this.box,
      this.help,
      this.sample,
      this.cards.card.root,
      this.status,
    );
    this.listen();
    this.paintTitle();
    this.paintHeadings();
    this.paintColor();
    this.paintChart();
    this.paintCount();
    this.onSelected();
  }

  /** Lay the text out anew, where its width has changed or was not known yet. */
  arrange(force = false): void {
    const width = this.layer.clientWidth;
    const wasHidden = this.isHidden;
    this.isHidden = width === 0;
    if (width === 0) return;
    if (width === this.width && !force) {
      // Where nothing could be seen nothing could be brought into sight.
      if (wasHidden) {
        this.renderer.renderVisible();
        this.paintSelection();
      }
      return;
    }
    const first = this.width < 0;
    const top = first ? null : this.renderer.topToken();
    this.textWidth.reset();
    this.layOut(width, top);
    // The scrollbar that a long text brings takes its place from the lines, and from the heads above them.
    const left = this.layer.clientWidth;
    if (left !== width) this.layOut(left, top);
    const { clientLeft, clientWidth, offsetWidth } = this.box;
    this.headings.style.setProperty("--bar", `${offsetWidth - clientWidth - 2 * clientLeft}px`);
    // Whoever reads a card goes on reading it.
    if (this.cards.ref) this.renderer.reveal(this.cards.ref);
    this.chart.frameUnits(this.renderer.visibleUnits());
    this.chart.draw();
    this.layOutRest();
    if (first && this.navigation.current) this.paintSelection();
  }

  private layOut(width: number, top: TokenRef | null): void {
    const { sides } = this.alignment;
    const interleaved = this.model.get("arrange") === "interleaved" || width / sides < NARROWEST;
    this.width = width;
    this.height = 0;
    this.root.classList.toggle("deluge-interleaved", interleaved);
    this.layer.style.setProperty("--sides", String(sides));
    this.renderer.interleaved = interleaved;
    this.rows.reset(interleaved ? width - MARGIN : width / sides - INSET, interleaved);
    this.renderer.redraw();
    if (top) this.renderer.scrollToTop(top);
  }

  /** Take parts that have come. */
  receive(side: number, parts: string[], blocks: DataView[]): void {
    parts.forEach((part, at) => {
      const block = blocks[at];
      if (block) this.alignment.receive(side, part, unpack(block));
    });
    this.requests.clear();
    if (parts.includes("measures")) {
      this.paintChart();
      this.renderer.repaint();
    }
    this.cards.refresh();
  }

  /** Lay out what is not yet, while nobody waits for it. */
  private layOutRest(): void {
    const { rows } = this;
    this.layoutTask.stop();
    if (rows.done) return;
    const rest = function* () {
      while (!rows.done) {
        rows.step();
        yield;
      }
    };
    this.layoutTask.start(rest(), () => this.renderer.updateHeight());
  }

  private lineHeight(): number {
    if (!this.height) this.height = this.sample.getBoundingClientRect().height;
    return this.height || 24;
  }

  private idOf({ side, token }: TokenRef): string {
    return `${this.name}-${side}-${token}`;
  }

  private get names(): string[] {
    return this.model.get("names");
  }

  /** The selected span, counted through all pairs. */
  private get span(): number | null {
    return this.model.get("selected") ?? null;
  }

  // Painting -----------------------------------------------------------------------------------------------------

  /** Show where the reader has gone to. */
  private show(ref: TokenRef, isOtherSide: boolean, open: boolean): void {
    const span = this.alignment.spanOf(ref);
    if (span !== this.span) setTrait(this.model, "selected", span);
    this.paintSelection();
    if (isOtherSide) this.paintCount();
    this.cards.show(ref, open);
    this.status.textContent = spokenText(this.alignment, this.names, ref);
  }

  private onSelected(): void {
    this.navigation.setSpan(this.span);
    this.paintSelection();
    if (this.navigation.current) this.cards.refresh(this.navigation.current);
  }

  private paintSelection(): void {
    const { current } = this.navigation;
    this.renderer.repaint();
    this.chart.setSelected(current);
    if (this.width < 0) return;
    if (!current) {
      this.box.removeAttribute("aria-activedescendant");
      this.cards.hide();
      this.chart.draw();
      return;
    }
    this.renderer.reveal(current);
    onceVisible(this.box, () => this.paintSelection(), this.signal);
    this.chart.frameUnits(this.renderer.visibleUnits());
    this.chart.draw();
    this.box.setAttribute("aria-activedescendant", this.idOf(current));
  }

  private paintColor(): void {
    const by = this.model.get("color_by");
    const { stores } = this.alignment;
    this.tokenStyle.setColorBy(by);
    if (by !== "difference" && needsMeasures(by)) for (const store of stores) store.requestMeasures();
    this.root.dataset["color"] = by;
    this.differenceLegend.hidden = by !== "difference";
    this.legend.root.hidden = by === "difference";
    const scale = by === "difference" ? undefined : stores[0]?.scales[by];
    if (scale) this.legend.show(by as ColorBy, scale, []);
    this.paintStyle();
    this.renderer.repaint();
  }

  private paintStyle(): void {
    const by = this.model.get("color_by");
    // The two hues of differences are those of every palette.
    this.root.dataset["palette"] = by === "difference" ? "amber" : this.model.get("palette");
    this.root.dataset["font"] = this.model.get("font");
  }

  private paintTitle(): void {
    const text = this.model.get("title");
    this.title.textContent = text;
    this.title.hidden = !text;
    this.root.setAttribute("aria-label", text || "Responses compared");
  }

  private paintHeadings(): void {
    const { alignment } = this;
    this.headings.style.setProperty("--sides", String(alignment.sides));
    this.headings.replaceChildren(...renderHeadings(alignment, this.names));
    this.toolbar.summary.textContent = `${sharePercent(alignment.commonShare(1))} in text that A and B share`;
  }

  private paintChart(): void {
    this.chart.collect(this.model.get("measure"));
    this.chart.draw();
  }

  private paintCount(): void {
    const side = this.navigation.current?.side ?? 0;
    this.toolbar.showDifferences(this.alignment.countDifferences(side, this.model.get("threshold")));
  }

  // Listening ----------------------------------------------------------------------------------------------------

  private listen(): void {
    const { signal } = this;
    const on = (names: (keyof State & string)[], act: () => void) => onChange(this.model, names, act, signal);
    on(["selected"], () => this.onSelected());
    on(["color_by"], () => this.paintColor());
    on(["palette", "font"], () => this.paintStyle());
    on(["measure"], () => this.paintChart());
    on(["threshold"], () => this.paintCount());
    on(["title"], () => this.paintTitle());
    on(["names"], () => this.paintHeadings());
    on(["arrange", "font"], () => this.arrange(true));
    const scrolled = () => {
      this.renderer.renderVisible();
      this.chart.frameUnits(this.renderer.visibleUnits());
    };
    this.box.addEventListener("scroll", scrolled, { signal, passive: true });
    window.addEventListener("beforeprint", () => this.renderer.renderAll(MAX_PRINTED_LINES), { signal });
    window.addEventListener("afterprint", () => this.renderer.renderVisible(), { signal });
    const resized = new ResizeObserver(() => this.arrange());
    resized.observe(this.layer);
    signal.addEventListener("abort", () => {
      resized.disconnect();
      this.cards.card.hide();
    });
    followTheme(this.root, () => this.chart.draw(), signal);
    onFontsLoaded(() => {
      if (this.width > 0) this.arrange(true);
    }, signal);
  }
}
