// Several completions on the screen, aligned by their text: their parts, and what they show when something changes.

import { unpack } from "../data/codec.ts";
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
import { Comparison, type Place } from "./alignment.ts";
import { spoken } from "./card_content.ts";
import { Desk } from "./cards.ts";
import { Plot } from "./chart.ts";
import { heads, percentOf, ramp } from "./headings.ts";
import { Hands, KEYS } from "./input.ts";
import type { Model, State } from "./model.ts";
import { Walk } from "./navigation.ts";
import { Rows } from "./row_layout.ts";
import { Sheet } from "./row_renderer.ts";
import { Looks } from "./token_style.ts";
import { Tools } from "./toolbar.ts";

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
  private readonly heads = element("div", "deluge-heads");
  private readonly box = listbox("Tokens of the responses", "n p o ?");
  private readonly page = lineLayer();
  private readonly ruler = sampleToken();
  private readonly spoken = statusRegion();
  private readonly help = keyHelp(KEYS);
  private readonly comparison: Comparison;
  private readonly rows: Rows;
  private readonly looks: Looks;
  private readonly sheet: Sheet;
  private readonly plot: Plot;
  private readonly tools: Tools;
  private readonly legend: Legend;
  private readonly differences: HTMLElement;
  private readonly desk: Desk;
  private readonly walk: Walk;
  private readonly laying: IdleTask;
  private readonly measure = new TextWidth(this.ruler);
  private width = -1;
  private height = 0;
  private hidden = true;
  private readonly asked: RequestOnce;

  constructor(
    private readonly model: Model,
    private readonly signal: AbortSignal,
  ) {
    this.asked = new RequestOnce((what) => model.send(what));
    this.comparison = new Comparison(
      this.names.length,
      model.get("data"),
      model.get("alignment"),
      (side, what) => this.asked.request({ ...what, side }),
    );
    const layouts = this.comparison.stores.map(
      (store) => new Layout(store, this.measure.of, (stretch) => stretch.shown),
    );
    this.rows = new Rows(this.comparison, layouts);
    this.looks = new Looks(this.comparison, () => ({ span: this.span, at: this.walk.at }));
    this.sheet = new Sheet(
      this.box,
      this.page,
      this.comparison,
      this.rows,
      () => this.lineHeight(),
      (place) => this.idOf(place),
      (place) => this.looks.of(place),
    );
    const step = (by: 1 | -1) => this.walk.step(by);
    this.desk = new Desk(this.comparison, {
      box: this.box,
      names: () => this.names,
      find: (place) => this.sheet.find(place),
      step,
    });
    this.walk = new Walk(this.comparison, this.rows, this.sheet, {
      threshold: () => model.get("threshold"),
      went: (place, turned, open) => this.show(place, turned, open || this.desk.card.isOpen),
      say: (text) => {
        this.spoken.textContent = text;
      },
    });
    this.plot = new Plot(this.comparison, (place) => this.walk.go(place), signal);
    this.legend = new Legend((limits) => {
      this.looks.limit(limits);
      this.sheet.repaint();
    }, signal);
    this.differences = ramp(this.comparison);
    this.tools = new Tools(model, [this.differences, this.legend.root], step, signal);
    this.laying = new IdleTask(signal);
    const leave = () => {
      this.walk.at = null;
      setTrait(model, "selected", null);
      this.paintSelected();
    };
    const help = () => {
      this.help.hidden = !this.help.hidden;
    };
    const acts = { leave, help };
    new Hands(this.root, this.box, this.comparison, layouts, this.desk, this.walk, acts, signal);
    this.box.append(this.page);
    this.root.append(
      this.title,
      this.tools.root,
      this.plot.root,
      this.heads,
      this.box,
      this.help,
      this.ruler,
      this.desk.card.root,
      this.spoken,
    );
    this.listen();
    this.paintTitle();
    this.paintHeads();
    this.paintColor();
    this.paintPlot();
    this.paintCount();
    this.takeSelected();
  }

  /** Lay the text out anew, where its width has changed or was not known yet. */
  arrange(force = false): void {
    const wide = this.page.clientWidth;
    const hidden = this.hidden;
    this.hidden = wide === 0;
    if (wide === 0) return;
    if (wide === this.width && !force) {
      // Where nothing could be seen nothing could be brought into sight.
      if (hidden) {
        this.sheet.show();
        this.paintSelected();
      }
      return;
    }
    const first = this.width < 0;
    const top = first ? null : this.sheet.first();
    this.measure.reset();
    this.fill(wide, top);
    // The scrollbar that a long text brings takes its place from the lines, and from the heads above them.
    const left = this.page.clientWidth;
    if (left !== wide) this.fill(left, top);
    const { clientLeft, clientWidth, offsetWidth } = this.box;
    this.heads.style.setProperty("--bar", `${offsetWidth - clientWidth - 2 * clientLeft}px`);
    // Whoever reads a card goes on reading it.
    if (this.desk.place) this.sheet.reveal(this.desk.place);
    this.plot.see(this.sheet.inSight());
    this.plot.draw();
    this.layRest();
    if (first && this.walk.at) this.paintSelected();
  }

  private fill(width: number, top: Place | null): void {
    const { sides } = this.comparison;
    const interleaved = this.model.get("arrange") === "interleaved" || width / sides < NARROWEST;
    this.width = width;
    this.height = 0;
    this.root.classList.toggle("deluge-interleaved", interleaved);
    this.page.style.setProperty("--sides", String(sides));
    this.sheet.interleaved = interleaved;
    this.rows.reset(interleaved ? width - MARGIN : width / sides - INSET, interleaved);
    this.sheet.redraw();
    if (top) this.sheet.scrollTo(top);
  }

  /** Take parts that have come. */
  receive(side: number, parts: string[], blocks: DataView[]): void {
    parts.forEach((part, at) => {
      const block = blocks[at];
      if (block) this.comparison.receive(side, part, unpack(block));
    });
    this.asked.clear();
    if (parts.includes("measures")) {
      this.paintPlot();
      this.sheet.repaint();
    }
    this.desk.refresh();
  }

  /** Lay out what is not yet, while nobody waits for it. */
  private layRest(): void {
    const { rows } = this;
    this.laying.stop();
    if (rows.done) return;
    const rest = function* () {
      while (!rows.done) {
        rows.step();
        yield;
      }
    };
    this.laying.start(rest(), () => this.sheet.fit());
  }

  private lineHeight(): number {
    if (!this.height) this.height = this.ruler.getBoundingClientRect().height;
    return this.height || 24;
  }

  private idOf({ side, token }: Place): string {
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
  private show(place: Place, turned: boolean, open: boolean): void {
    const span = this.comparison.spanOf(place);
    if (span !== this.span) setTrait(this.model, "selected", span);
    this.paintSelected();
    if (turned) this.paintCount();
    this.desk.show(place, open);
    this.spoken.textContent = spoken(this.comparison, this.names, place);
  }

  private takeSelected(): void {
    this.walk.take(this.span);
    this.paintSelected();
    if (this.walk.at) this.desk.refresh(this.walk.at);
  }

  private paintSelected(): void {
    const { at } = this.walk;
    this.sheet.repaint();
    this.plot.mark(at);
    if (this.width < 0) return;
    if (!at) {
      this.box.removeAttribute("aria-activedescendant");
      this.desk.hide();
      this.plot.draw();
      return;
    }
    this.sheet.reveal(at);
    onceVisible(this.box, () => this.paintSelected(), this.signal);
    this.plot.see(this.sheet.inSight());
    this.plot.draw();
    this.box.setAttribute("aria-activedescendant", this.idOf(at));
  }

  private paintColor(): void {
    const by = this.model.get("color_by");
    const { stores } = this.comparison;
    this.looks.color(by);
    if (by !== "difference" && needsMeasures(by)) for (const store of stores) store.requestMeasures();
    this.root.dataset["color"] = by;
    this.differences.hidden = by !== "difference";
    this.legend.root.hidden = by === "difference";
    const scale = by === "difference" ? undefined : stores[0]?.scales[by];
    if (scale) this.legend.show(by as ColorBy, scale, []);
    this.paintStyle();
    this.sheet.repaint();
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

  private paintHeads(): void {
    const { comparison } = this;
    this.heads.style.setProperty("--sides", String(comparison.sides));
    this.heads.replaceChildren(...heads(comparison, this.names));
    this.tools.summary.textContent = `${percentOf(comparison.share(1))} in text that A and B share`;
  }

  private paintPlot(): void {
    this.plot.count(this.model.get("measure"));
    this.plot.draw();
  }

  private paintCount(): void {
    const side = this.walk.at?.side ?? 0;
    this.tools.count(this.comparison.countDifferences(side, this.model.get("threshold")));
  }

  // Listening ----------------------------------------------------------------------------------------------------

  private listen(): void {
    const { signal } = this;
    const on = (names: (keyof State & string)[], act: () => void) => onChange(this.model, names, act, signal);
    on(["selected"], () => this.takeSelected());
    on(["color_by"], () => this.paintColor());
    on(["palette", "font"], () => this.paintStyle());
    on(["measure"], () => this.paintPlot());
    on(["threshold"], () => this.paintCount());
    on(["title"], () => this.paintTitle());
    on(["names"], () => this.paintHeads());
    on(["arrange", "font"], () => this.arrange(true));
    const scrolled = () => {
      this.sheet.show();
      this.plot.see(this.sheet.inSight());
    };
    this.box.addEventListener("scroll", scrolled, { signal, passive: true });
    window.addEventListener("beforeprint", () => this.sheet.showAll(MAX_PRINTED_LINES), { signal });
    window.addEventListener("afterprint", () => this.sheet.show(), { signal });
    const resized = new ResizeObserver(() => this.arrange());
    resized.observe(this.page);
    signal.addEventListener("abort", () => {
      resized.disconnect();
      this.desk.card.hide();
    });
    followTheme(this.root, () => this.plot.draw(), signal);
    onFontsLoaded(() => {
      if (this.width > 0) this.arrange(true);
    }, signal);
  }
}
