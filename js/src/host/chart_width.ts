// Fits charts to their cells when a side bar opens or a split is dragged: Vega follows the window only, and its own box is
// never narrower than the chart that it has drawn. The other end is deluge_nb/charts/width.py.

const FILLER = "input[name=cell_width]";
/** Hosts load this module once for each widget; one observer is enough for a page. */
const KEY = Symbol.for("deluge_nb.charts");
/** CSS pixels that a scroll bar may take. A chart that followed it might become lower, and the bar vanish again. */
const SCROLL_BAR = 20;

class ChartWidths {
  readonly #fillers = new WeakMap<Element, HTMLInputElement>();
  // Charts out of sight cost nothing until they are scrolled to.
  readonly #seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      this.#seen.unobserve(target);
      this.#fit(target);
    }
  });
  readonly #resized = new ResizeObserver((entries) => {
    for (const { target } of entries) this.#seen.observe(target);
  });

  constructor() {
    new MutationObserver((records) => {
      for (const { addedNodes } of records) for (const node of addedNodes) this.#findIn(node);
    }).observe(document, { childList: true, subtree: true });
    this.#findIn(document.body);
  }

  #findIn(node: Node): void {
    if (!(node instanceof Element)) return;
    for (const filler of node.querySelectorAll<HTMLInputElement>(FILLER)) {
      const box = filler.closest(".vega-embed")?.parentElement;
      if (!box) continue;
      this.#fillers.set(box, filler);
      this.#resized.observe(box);
    }
  }

  #fit(box: Element): void {
    const filler = this.#fillers.get(box);
    const chart = filler?.closest<HTMLElement>(".vega-embed");
    const inner = filler?.closest("form")?.parentElement;
    if (!filler || !chart || !inner || !chart.offsetWidth) return;
    const { paddingLeft, paddingRight } = getComputedStyle(box);
    const margins = Number.parseFloat(paddingLeft) + Number.parseFloat(paddingRight);
    const width = box.clientWidth - margins - (chart.offsetWidth - inner.clientWidth);
    const change = width - (Number(filler.value) || inner.clientWidth);
    // A new width ends what is being dragged in the chart.
    const least = change > 0 || chart.matches(":active") ? SCROLL_BAR : 0;
    if (Math.abs(change) <= least) return;
    filler.value = `${width}`;
    filler.dispatchEvent(new Event("input"));
  }
}

/** Keep the charts of the page as wide as their cells. */
export function fitCharts(): void {
  const page = document as Document & { [KEY]?: ChartWidths };
  page[KEY] ??= new ChartWidths();
}
