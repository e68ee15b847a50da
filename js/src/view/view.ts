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
import { KEYS } from "../ui/keyboard.ts";
import { Legend } from "../ui/legend.ts";
import { keyHelp, onceVisible, onFontsLoaded, statusRegion } from "../ui/shell.ts";
import { Tree } from "./branches.ts";
import { Desk } from "./cards.ts";
import { Hands } from "./input.ts";
import type { Model, State } from "./model.ts";
import { Walk } from "./navigation.ts";
import { Strip } from "./overview.ts";
import { Seeker } from "./search_panel.ts";
import { Chosen } from "./selection.ts";
import { sourceOf } from "./source.ts";
import { Looks } from "./token_style.ts";
import { Tools } from "./toolbar.ts";

let views = 0;

/** What a drawing hands on to the next one of the same completion. */
export interface Kept {
  top: number;
  atEnd: boolean;
  focused: boolean;
  /** Whether the focus was in the tree of branches. */
  walking: boolean;
  searched: string;
}

export class View {
  readonly root = element("section", "deluge");
  private readonly name = `deluge-${++views}`;
  private readonly title = element("div", "deluge-title");
  private readonly spoken = statusRegion();
  private readonly help = keyHelp(KEYS);
  private readonly ranged = element("div", "deluge-ranged-sum");
  private readonly store: Store;
  private readonly chosen: Chosen;
  private readonly looks: Looks;
  private readonly paper: TextBox;
  private readonly desk: Desk;
  private readonly walk: Walk;
  private readonly seeker: Seeker;
  private readonly legend: Legend;
  private readonly strip: Strip;
  private readonly tally: Summary;
  private readonly tools: Tools;
  private readonly tree: Tree;
  private readonly link: ChartLink;
  private readonly summing: IdleTask;
  private readonly stripping: IdleTask;
  private readonly asked: RequestOnce;

  constructor(
    private readonly model: Model,
    private readonly signal: AbortSignal,
    searched = "",
  ) {
    this.asked = new RequestOnce((what) => model.send(what));
    this.store = new Store(this.asked.request, sourceOf(model).data);
    this.takeRest();
    this.chosen = new Chosen(model, this.store);
    this.looks = new Looks(model, this.store, this.chosen, (token) => this.seeker.hits(token));
    this.paper = new TextBox(
      this.store,
      {
        shownText: (fragment) => shownText(fragment, model.get("spaces")),
        idOf: (token) => this.idOf(token),
        appearanceOf: (token) => this.looks.of(token),
        scrolled: () => this.frameStrip(),
        resized: () => this.arrange(),
      },
      signal,
    );
    const { box, lines } = this.paper;
    const go = (token: number) => this.walk.go(token);
    const say = (text: string) => {
      this.spoken.textContent = text;
    };
    const find = (token: number) => lines.find(token);
    const leave = () => this.paper.focus();
    this.desk = new Desk(model, this.store, { root: this.root, box, find, go, say });
    this.walk = new Walk(this.store, this.chosen, this.paper, this.desk, say, () => this.frameStrip());
    this.seeker = new Seeker(
      model,
      this.store,
      {
        tools: () => this.tools,
        selected: () => this.chosen.token,
        go,
        say,
        repaint: () => lines.repaint(),
        leave,
      },
      signal,
    );
    this.legend = new Legend((limits) => setTrait(model, "limits", limits), signal);
    this.strip = new Strip(
      this.store,
      (heats) => this.shades(heats),
      go,
      (range) => this.chosen.choose(range),
      signal,
    );
    this.tally = new Summary(this.store);
    this.summing = new IdleTask(signal);
    this.stripping = new IdleTask(signal);
    const hit = (by: 1 | -1) => this.seeker.toHit(by);
    const surprise = (by: 1 | -1) => this.seeker.toSurprise(by);
    const list = () => this.seeker.toggle();
    const seek = (text: string) => this.seeker.seek(text);
    this.tools = new Tools(model, this.legend, { search: seek, match: hit, surprise, list, leave }, signal);
    const search = () => this.tools.seek();
    const help = () => {
      this.help.hidden = !this.help.hidden;
    };
    new Hands(
      this.root,
      this.store,
      this.paper,
      this.chosen,
      this.desk,
      this.walk,
      { search, match: hit, surprise, list, help },
      signal,
    );
    this.tree = new Tree(model, (id) => setTrait(model, "node", id));
    this.link = new ChartLink(model.get("link"), (picked) => this.heedChart(picked), signal);
    this.root.append(
      this.title,
      this.tools.root,
      this.tree.root,
      this.strip.root,
      box,
      this.ranged,
      this.seeker.list,
      this.help,
      this.desk.pins.root,
      this.paper.sample,
      this.desk.card.root,
      this.spoken,
    );
    this.listen();
    this.paintTitle();
    this.paintStyle();
    this.paintTree();
    this.paintColor();
    this.seeker.count(0);
    if (searched) {
      this.tools.resume(searched);
      this.seeker.seek(searched);
    }
  }

  // What the host asks of it --------------------------------------------------------------------------------------

  /** Lay the text out anew, where its width has changed or was not known yet. */
  arrange(): void {
    this.strip.fit();
    const change = this.paper.arrange();
    // Whoever reads a card goes on reading it.
    const { token } = this.desk.card;
    if (change === "again" && token !== null) this.paper.reveal(token);
    if (change === "first" || change === "again") this.frameStrip();
    if (change === "again") this.strip.draw();
    // A selection that was waiting for a width comes into sight.
    if (change === "shown" || (change === "first" && this.chosen.token !== null)) this.paintSelected();
    if (change === "first") this.count(0);
  }

  keep(): Kept {
    const { box, isAtEnd } = this.paper;
    return {
      top: box.scrollTop,
      atEnd: isAtEnd,
      // A card goes when another branch comes, and gives the focus back.
      focused: [box, this.desk.card.root].some((one) => one.contains(rootOf(one).activeElement)),
      walking: this.tree.focused,
      searched: this.tools.searching,
    };
  }

  resume(kept: Kept): void {
    const { box } = this.paper;
    box.scrollTop = kept.atEnd ? box.scrollHeight : kept.top;
    if (kept.focused) this.paper.focus();
    if (kept.walking) this.tree.focus();
    if (this.model.get("tree").length) this.spoken.textContent = this.tree.told;
  }

  /** Take a part that has come. */
  receive(part: string, block: Block): void {
    if (part === "alternatives") this.store.receiveAlternatives(block);
    else if (part === "measures") this.store.receiveMeasures(block);
    else if (this.model.get("node") === 0) this.append(block);
  }

  /** Show what has come with a message. */
  settle(): void {
    this.asked.clear();
    this.desk.refresh();
  }

  /** Take the whole again, where it is the same completion and has only grown; whether it was. */
  grow(): boolean {
    if (this.model.get("node") !== 0) return true;
    if (!this.append(unpack(this.model.get("data")))) return false;
    this.takeRest();
    this.settle();
    return true;
  }

  private append(block: Block): boolean {
    const first = this.store.receiveTokens(block);
    if (first === null) return false;
    this.tally.invalidate(first);
    this.paper.update(first);
    if (this.paper.hasLayout) {
      this.frameStrip();
      this.count(first);
    }
    this.seeker.renew(first);
    return true;
  }

  private takeRest(): void {
    const { alternatives, measures } = sourceOf(this.model);
    if (alternatives?.byteLength) this.store.deferAlternatives(alternatives);
    if (measures?.byteLength) this.store.receiveMeasures(unpack(measures));
  }

  // Painting -----------------------------------------------------------------------------------------------------

  private idOf(token: number): string {
    return `${this.name}-${token}`;
  }

  private paintSelected(): void {
    const { box, lines } = this.paper;
    const { token } = this.chosen;
    lines.repaint();
    this.markRange();
    if (token === null) {
      box.removeAttribute("aria-activedescendant");
      this.desk.card.hide();
      return;
    }
    this.paper.reveal(token);
    box.setAttribute("aria-activedescendant", this.idOf(token));
    onceVisible(box, () => this.paintSelected(), this.signal);
    if (this.desk.card.token !== null) this.desk.show(token, this.desk.card.isOpen);
  }

  private paintRange(): void {
    const { range } = this.chosen;
    this.paper.lines.repaint();
    this.markRange();
    const told = range ? describeRange(this.store, range) : "";
    this.ranged.textContent = told;
    if (told) this.spoken.textContent = told;
  }

  /** On the strip and on the charts. */
  private markRange(): void {
    const { range, token } = this.chosen;
    this.strip.mark(range, token);
    this.strip.draw();
    this.link.send(range, token);
  }

  /** Something was chosen on a chart. */
  private heedChart({ from, to, go }: LinkMessage): void {
    const { count } = this.store;
    if (go !== undefined) {
      this.walk.go(go);
      return;
    }
    const start = Math.max(0, Math.min(from ?? 0, count));
    const stop = Math.max(0, Math.min(to ?? 0, count));
    this.chosen.choose(stop > start ? [start, stop] : null);
    if (stop > start) {
      this.paper.reveal(start);
      this.frameStrip();
    }
  }

  private paintColor(): void {
    const by = this.model.get("color_by");
    this.looks.colorBy = by;
    if (needsMeasures(by)) this.store.requestMeasures();
    this.root.dataset["color"] = by;
    this.strip.renew();
    this.paintLimits();
    this.count(0);
  }

  private paintLimits(): void {
    const limits = this.model.get("limits");
    this.looks.limit(limits);
    this.legend.show(this.looks.colorBy, this.looks.scale, limits);
    this.paper.lines.repaint();
  }

  private paintStyle(): void {
    this.root.dataset["palette"] = this.model.get("palette");
    this.root.dataset["font"] = this.model.get("font");
    this.root.toggleAttribute("data-boundaries", this.model.get("boundaries"));
    this.paintStrip();
  }

  private paintTitle(): void {
    const text = this.model.get("title");
    this.title.textContent = text;
    this.title.hidden = !text;
    this.root.setAttribute("aria-label", text || "Tokens coloured by probability");
  }

  private paintTree(): void {
    const news = this.tree.show();
    if (news) this.spoken.textContent = news;
  }

  /** Sums over what is new, and the strip; a little at a time. */
  private count(first: number): void {
    const told = () => {
      this.tools.summary.textContent = this.tally.text;
    };
    told();
    if (!this.tally.done) this.summing.start(this.tally.run(), told);
    if (this.paper.hasLayout)
      this.stripping.start(this.strip.count(this.looks.colorBy, first), () => this.strip.draw());
  }

  /** In colours that are others now. */
  private paintStrip(): void {
    this.strip.renew();
    this.strip.draw();
  }

  private frameStrip(): void {
    this.strip.see(this.paper.lines.visibleTokens());
  }

  /** The colours of heats, as the stylesheet makes them. */
  private shades(heats: number[]): string[] {
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
      this.paper.resetWidths();
      this.arrange();
    };
    on(["selected"], () => this.paintSelected());
    on(["selection"], () => this.paintRange());
    on(["color_by"], () => this.paintColor());
    on(["limits"], () => this.paintLimits());
    on(["palette", "boundaries", "font"], () => this.paintStyle());
    on(["font", "spaces"], relayout);
    on(["threshold"], () => this.seeker.count(0));
    on(["title"], () => this.paintTitle());
    on(["tree"], () => this.paintTree());
    on(["pinned"], () => this.paper.lines.repaint());
    on(["pinned", "temperature", "branching"], () => this.settle());
    on(["measures"], () => {
      const { measures } = sourceOf(this.model);
      if (this.model.get("node") !== 0 || !measures?.byteLength) return;
      this.store.receiveMeasures(unpack(measures));
      this.settle();
      this.paper.lines.repaint();
      this.count(0);
    });
    // The colours of the strip are those of the theme.
    followTheme(this.root, () => this.paintStrip(), signal);
    onFontsLoaded(relayout, signal);
    signal.addEventListener("abort", () => this.desk.card.hide());
  }
}
