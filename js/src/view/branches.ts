// Shows several answers to one prompt as the tree of their common beginnings, and the branches of an answer (its
// continuations from other alternatives) as a path and a tree.

import { unpack } from "../data/codec.ts";
import { jointProbability, percent, pluralize } from "../data/format.ts";
import { sumLogprobs } from "../data/summary.ts";
import { button, element, focusedFrom, suppressShortcuts } from "../ui/dom.ts";
import type { BranchNode, Model, Node, TreeState } from "./model.ts";
import { hasBlocks } from "./source.ts";

/** The nodes from the original, which has none, to a branch. */
export function pathTo<N extends Node>(nodes: N[], id: number): N[] {
  const path: N[] = [];
  for (let node = nodes.find((other) => other.id === id); node; ) {
    path.unshift(node);
    const parent = node.parent;
    node = nodes.find((other) => other.id === parent);
  }
  return path;
}

/** The id of the first row: the original answer has none of its own among the nodes. */
function rootOf(nodes: Node[]): number {
  return nodes.find((node) => node.parent === null)?.id ?? 0;
}

/** The ids in the order of the drawn tree: each node before its children. */
export function preOrder(nodes: Node[], root = rootOf(nodes)): number[] {
  const children = nodes.filter((node) => node.parent === root);
  return [root, ...children.flatMap((node) => preOrder(nodes, node.id))];
}

/** The node that a key leads to; null if it leads nowhere. */
export function nodeForKey(nodes: Node[], from: number, key: string): number | null {
  const order = preOrder(nodes);
  const index = order.indexOf(from);
  switch (key) {
    case "ArrowDown":
      return order[index + 1] ?? null;
    case "ArrowUp":
      return order[index - 1] ?? null;
    case "ArrowLeft":
      return nodes.find((node) => node.id === from)?.parent ?? null;
    case "ArrowRight":
      return nodes.find((node) => node.parent === from)?.id ?? null;
    case "Home":
      return order[0] ?? null;
    case "End":
      return order.at(-1) ?? null;
    default:
      return null;
  }
}

/** The row that stands for a node on the screen: the innermost one that shows it. */
export function rowOf(nodes: Node[], id: number): number {
  const rows = nodes.filter((node) => "shows" in node && node.shows === id);
  return rows.at(-1)?.id ?? id;
}

/** The label of a row; of a branch, its token and its position. */
export function nameOf(node: Node): string {
  return "shows" in node ? node.label : branchName(node);
}

/** The label of a branch: its token and its position. */
export function branchName(node: BranchNode): string {
  const position = `token ${node.position + 1}`;
  const probability = node.logprob === null ? "" : ` (${percent(Math.exp(node.logprob))})`;
  if (node.label === node.instead) return `${node.label}${probability} again at ${position}`;
  return `${node.label}${probability} instead of ${node.instead} at ${position}`;
}

const ORIGINAL = "original answer";

export class BranchTree {
  readonly root = element("nav", "deluge-tree");
  readonly #path = element("div", "deluge-path");
  readonly #list = suppressShortcuts(element("ul"));
  #nodes: Node[] = [];
  #items = new Map<number, HTMLElement>();
  /** The row of the node on the screen. */
  #current = 0;
  /** The sum of the original's log-probabilities, and the block that it was computed from. */
  #originalTotals: { data: DataView; total: number; tokens: number } | null = null;

  constructor(
    private readonly model: Model,
    private readonly goTo: (id: number) => void,
    private readonly ask: (content: object, action?: string) => void,
  ) {
    this.root.hidden = true;
    this.#list.setAttribute("role", "tree");
    this.#list.addEventListener("click", (event) => this.#activate(this.#idOf(event)));
    this.#list.addEventListener("keydown", (event) => this.#onKey(event));
    this.root.append(this.#path, this.#list);
  }

  /** Draw the current tree. Returns what has changed since the last time, as text. */
  show(): string {
    const statusBefore = new Map(this.#nodes.map((node) => [node.id, node.status]));
    this.#nodes = this.model.get("tree");
    this.#current = rowOf(this.#nodes, this.model.get("node"));
    this.root.hidden = this.#nodes.length === 0;
    for (const part of [this.root, this.#list]) {
      part.setAttribute("aria-label", this.#hasSamples ? "Answers" : "Branches");
    }
    const { hadFocus, scrollTop } = this.saveState();
    const tabStop = hadFocus ? this.#tabStop : this.#current;
    this.#items = new Map();
    this.#path.replaceChildren(...this.#renderPath());
    const root = rootOf(this.#nodes);
    this.#list.replaceChildren(...(this.#nodes.length ? [this.#renderNode(root, this.#find(root))] : []));
    this.#list.scrollTop = scrollTop;
    this.#setTabStop([tabStop, this.#current].find((id) => this.#items.has(id)) ?? root, hadFocus);
    const changed = this.#nodes.filter(
      (node) => statusBefore.has(node.id) && statusBefore.get(node.id) !== node.status,
    );
    return changed
      .map((node) => `${nameOf(node)}: ${node.status}${node.message && `, ${node.message}`}`)
      .join("; ");
  }

  /** The branch or answer that is shown, for screen readers. */
  get spoken(): string {
    const node = this.#find(this.#current);
    if (node && "shows" in node) return `answer: ${node.label}, ${node.note}`;
    return `branch: ${node ? branchName(node) : ORIGINAL}`;
  }

  get #hasSamples(): boolean {
    return this.#nodes.some((node) => "shows" in node);
  }

  #find(id: number): Node | undefined {
    return this.#nodes.find((node) => node.id === id);
  }

  get #hasFocus(): boolean {
    return this.#list.contains(focusedFrom(this.root));
  }

  saveState(): TreeState {
    return { hadFocus: this.#hasFocus, scrollTop: this.#list.scrollTop };
  }

  restoreState({ hadFocus, scrollTop }: TreeState): void {
    this.#list.scrollTop = scrollTop;
    if (hadFocus) this.#moveTo(this.#current);
  }

  /** Links from the original to the current branch. */
  #renderPath(): HTMLElement[] {
    const links: HTMLElement[] = [];
    const add = (id: number, label: string, title: string) => {
      const link = button(label, title, () => this.goTo(id));
      if (id === this.#current) link.setAttribute("aria-current", "true");
      if (links.length) links.push(element("span", "", "›"));
      links.push(link);
    };
    const path = pathTo(this.#nodes, this.#current).filter((node) => !("shows" in node)) as BranchNode[];
    // Which of several answers is the original of a branch is seen in the tree.
    if (!this.#nodes.length || this.#hasSamples) return links;
    add(0, "original", "Go to the original answer");
    for (const node of path) {
      add(node.id, `${node.position + 1}: ${node.label}`, `Go to ${branchName(node)}`);
    }
    return links;
  }

  #renderNode(id: number, node: Node | undefined): HTMLElement {
    const item = element("li");
    item.setAttribute("role", "treeitem");
    item.dataset["node"] = String(id);
    item.tabIndex = -1;
    if (node?.status === "asking" || (node && "shows" in node && node.shows === null))
      item.setAttribute("aria-disabled", "true");
    if (id === this.#current) item.setAttribute("aria-current", "true");
    item.setAttribute("aria-selected", String(id === this.#current));
    const line = element("span", "deluge-node");
    const isSample = node && "shows" in node;
    if (isSample && node.share) line.append(renderShare(...node.share));
    const look = isSample && !node.is_text ? "deluge-button deluge-words" : "deluge-button";
    line.append(element("span", look, node ? nameOf(node) : ORIGINAL));
    line.append(element("span", `deluge-note deluge-${node?.status ?? "ready"}`, this.#noteOf(node)));
    item.append(line);
    this.#items.set(id, item);
    const children = this.#nodes.filter((child) => child.parent === id);
    if (children.length) {
      item.setAttribute("aria-expanded", "true");
      const list = element("ul");
      list.setAttribute("role", "group");
      list.append(...children.map((child) => this.#renderNode(child.id, child)));
      item.append(list);
    }
    return item;
  }

  #noteOf(node: Node | undefined): string {
    // Lines begin with no sign.
    if (node && "shows" in node) return node.note.replace(/ (?=[%–])/g, "\u00a0");
    if (node?.status === "asking") return "asking the model …";
    if (node?.status === "failed") return `failed: ${node.message} Select it to try again.`;
    const { total, tokens } = node ?? this.#sumOriginal();
    return [tokens === null ? "" : pluralize(tokens), jointProbability(total)].filter(Boolean).join(" · ");
  }

  #sumOriginal(): { total: number; tokens: number } {
    const data = this.model.get("data");
    if (this.#originalTotals?.data !== data) {
      const logprobs = unpack(data).columns["logprob"] as Float32Array;
      const [total] = sumLogprobs({ logprob: logprobs }, 0, logprobs.length);
      this.#originalTotals = { data, total, tokens: logprobs.length };
    }
    return this.#originalTotals;
  }

  /** The one item that Tab reaches; the arrow keys move on from there. */
  get #tabStop(): number {
    const entry = [...this.#items].find(([, item]) => item.tabIndex === 0);
    return entry?.[0] ?? this.#current;
  }

  #setTabStop(id: number, withFocus: boolean): void {
    for (const [other, item] of this.#items) item.tabIndex = other === id ? 0 : -1;
    if (withFocus) this.#items.get(id)?.focus({ preventScroll: true });
  }

  /** Make an item the one that has the focus, and bring its own line into view. */
  #moveTo(id: number): void {
    this.#setTabStop(id, true);
    this.#items.get(id)?.firstElementChild?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  #idOf(event: Event): number | null {
    const item = (event.target as Element | null)?.closest?.<HTMLElement>("[data-node]");
    return item ? Number(item.dataset["node"]) : null;
  }

  #activate(id: number | null): void {
    if (id === null) return;
    this.#moveTo(id);
    const node = this.#find(id);
    if (node && "shows" in node) {
      if (node.shows !== null) this.#showSample(node.shows);
    } else if (node?.status === "failed") {
      // Ask again: it may have been a transient failure.
      this.ask({ branch: { node: node.parent, token: node.position, place: node.place } });
    } else if (node?.status !== "asking") this.goTo(id);
  }

  /** Show one of several answers. Of many, Python sends the tokens when they are asked for. */
  #showSample(id: number): void {
    if (hasBlocks(this.model, id)) this.goTo(id);
    else this.ask({ sample: id }, "fetching the answer");
  }

  #onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const from = this.#idOf(event);
    if (from === null) return;
    if (event.key === "Enter" || event.key === " ") this.#activate(from);
    else {
      const to = nodeForKey(this.#nodes, from, event.key);
      if (to !== null) this.#moveTo(to);
      else if (!event.key.startsWith("Arrow")) return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

/** A bar of a share, with the interval of the share as a paler one, and a mark at the joint probability. */
function renderShare(share: number, low: number, high: number, probability: number | null): HTMLElement {
  const rail = element("span", "deluge-rail deluge-share");
  const add = (look: string, left: number, width?: number) => {
    const part = element("span", look);
    part.style.left = `${100 * left}%`;
    if (width !== undefined) part.style.width = `${100 * width}%`;
    rail.append(part);
  };
  add("deluge-fill deluge-pale", low, high - low);
  add("deluge-fill", 0, share);
  if (probability !== null) add("deluge-mark", probability);
  return rail;
}
