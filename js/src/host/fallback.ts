// Hides the static outputs that stand in for widgets while the widgets are on the page. Python writes these outputs in
// deluge_nb/widget/fallback.py.

const CLASS = "deluge-still";
/** The part of Jupyter's page that holds one output and its margins. */
const OUTPUT = ".jp-OutputArea-child";
/** Hosts load this module once for each widget, so all copies share the list that the first one made. */
const KEY = Symbol.for("deluge_nb.fallbacks");

/**
 * The static outputs of a page. A rule with `:has()` for each of them would slow down every change of the page, so one
 * observer finds them, whenever a host writes, moves or replaces them.
 */
class Fallbacks {
  /** The number of live views by link name. */
  readonly #views = new Map<string, number>();
  /** The static outputs on the page by link name. */
  readonly #present = new Map<string, Set<HTMLElement>>();
  /** What shows a hidden static output again. */
  readonly #undo = new WeakMap<HTMLElement, () => void>();
  readonly #observer = new MutationObserver((records) => this.#follow(records));

  constructor() {
    const names = { attributes: true, attributeFilter: ["data-link"], attributeOldValue: true };
    this.#observer.observe(document, { childList: true, subtree: true, ...names });
    for (const still of document.querySelectorAll<HTMLElement>(`.${CLASS}`)) this.#add(still);
  }

  /** Count a view that is shown (1) or ended (-1). */
  count(link: string, by: 1 | -1): void {
    this.#follow(this.#observer.takeRecords());
    const views = (this.#views.get(link) ?? 0) + by;
    if (views > 0) this.#views.set(link, views);
    else this.#views.delete(link);
    for (const still of this.#present.get(link) ?? []) this.#update(still);
  }

  #follow(records: MutationRecord[]): void {
    for (const { type, target, oldValue, addedNodes, removedNodes } of records) {
      if (type === "attributes") {
        for (const still of stillsIn(target)) {
          this.#forget(still, oldValue ?? "");
          this.#add(still);
        }
      }
      for (const node of removedNodes) for (const still of stillsIn(node)) this.#remove(still);
      for (const node of addedNodes) for (const still of stillsIn(node)) this.#add(still);
    }
  }

  #add(still: HTMLElement): void {
    if (!still.isConnected) return;
    const link = linkOf(still);
    this.#present.set(link, (this.#present.get(link) ?? new Set()).add(still));
    this.#update(still);
  }

  #remove(still: HTMLElement): void {
    this.#forget(still, linkOf(still));
    // A host that only takes a cell off the page brings it back as it was. One that replaces the static output alone writes
    // something else into the same place.
    if (!still.closest(OUTPUT)) this.#show(still);
  }

  #forget(still: HTMLElement, link: string): void {
    const stills = this.#present.get(link);
    stills?.delete(still);
    if (stills?.size === 0) this.#present.delete(link);
  }

  #update(still: HTMLElement): void {
    if (!this.#views.has(linkOf(still))) this.#show(still);
    else if (!this.#undo.has(still)) this.#undo.set(still, hide(still));
  }

  #show(still: HTMLElement): void {
    this.#undo.get(still)?.();
    this.#undo.delete(still);
  }
}

function linkOf(still: HTMLElement): string {
  return still.dataset["link"] ?? "";
}

function stillsIn(node: Node): HTMLElement[] {
  if (!(node instanceof HTMLElement)) return [];
  const inner = [...node.getElementsByClassName(CLASS)] as HTMLElement[];
  return node.classList.contains(CLASS) ? [node, ...inner] : inner;
}

/** Hide a static output, and return a function that shows it again. */
function hide(still: HTMLElement): () => void {
  // Taken off the page, its elements and its stylesheet cost nothing.
  const content = document.createDocumentFragment();
  content.append(...still.childNodes);
  const isAlone = still.parentElement?.childElementCount === 1;
  const output = isAlone ? still.closest<HTMLElement>(OUTPUT) : null;
  const hidden = output ? [still, output] : [still];
  for (const part of hidden) part.style.display = "none";
  return () => {
    still.append(content);
    for (const part of hidden) part.style.display = "";
  };
}

/** Hide the static outputs with the given link name, until the signal is aborted. */
export function hideFallback(link: string, signal: AbortSignal): void {
  if (!link) return;
  const page = document as Document & { [KEY]?: Fallbacks };
  page[KEY] ??= new Fallbacks();
  const fallbacks = page[KEY];
  fallbacks.count(link, 1);
  signal.addEventListener("abort", () => fallbacks.count(link, -1));
}
