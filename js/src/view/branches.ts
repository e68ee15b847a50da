// Branches: continuations from other alternatives, as a tree to walk.

import { unpack } from "../data/codec.ts";
import { percent } from "../data/scale.ts";
import { pluralize, sumLogprobs } from "../data/summary.ts";
import { button, element, rootOf } from "../ui/dom.ts";
import type { Model, Node } from "./model.ts";

/** The path from the original to a node. */
export function pathTo(nodes: Node[], id: number): Node[] {
  const path: Node[] = [];
  for (let node = nodes.find((one) => one.id === id); node; ) {
    path.unshift(node);
    const parent = node.parent;
    node = nodes.find((one) => one.id === parent);
  }
  return path;
}

/** The ids in the order in which they are drawn: each node before what left it. */
export function inOrder(nodes: Node[], from = 0): number[] {
  const below = nodes.filter((one) => one.parent === from);
  return [from, ...below.flatMap((one) => inOrder(nodes, one.id))];
}

/** Where an arrow key leads from a node; null where it leads nowhere. */
export function step(nodes: Node[], from: number, key: string): number | null {
  const order = inOrder(nodes);
  const at = order.indexOf(from);
  switch (key) {
    case "ArrowDown":
      return order[at + 1] ?? null;
    case "ArrowUp":
      return order[at - 1] ?? null;
    case "ArrowLeft":
      return nodes.find((one) => one.id === from)?.parent ?? null;
    case "ArrowRight":
      return nodes.find((one) => one.parent === from)?.id ?? null;
    case "Home":
      return 0;
    case "End":
      return order.at(-1) ?? null;
    default:
      return null;
  }
}

/** How probable a whole answer is, for people: a share of all answers, and nats where that is too small to say. */
export function joint(total: number | null): string {
  if (total === null || Number.isNaN(total)) return "";
  return `joint probability ${percent(Math.exp(total))} (${total.toFixed(2)} nats)`;
}

/** What a branch is called. */
export function nameOf(node: Node): string {
  const place = `token ${node.position + 1}`;
  const chance = node.logprob === null ? "" : ` (${percent(Math.exp(node.logprob))})`;
  if (node.label === node.instead) return `${node.label}${chance} once more at ${place}`;
  return `${node.label}${chance} in place of ${node.instead} at ${place}`;
}

const ORIGINAL = "as it was answered";

export class Tree {
  readonly root = element("nav", "deluge-tree");
  private readonly path = element("div", "deluge-path");
  private readonly list = element("ul");
  private nodes: Node[] = [];
  private items = new Map<number, HTMLElement>();
  private current = 0;
  private summed: { data: DataView; total: number; tokens: number } | null = null;

  constructor(
    private readonly model: Model,
    private readonly go: (id: number) => void,
  ) {
    this.root.setAttribute("aria-label", "Branches");
    this.root.hidden = true;
    this.list.setAttribute("role", "tree");
    this.list.setAttribute("aria-label", "Branches");
    this.list.dataset["lmSuppressShortcuts"] = "true";
    this.list.addEventListener("click", (event) => this.choose(this.idOf(event)));
    this.list.addEventListener("keydown", (event) => this.press(event));
    this.root.append(this.path, this.list);
  }

  /** Draw the tree as it is now; gives what has happened since the last time, in words. */
  show(): string {
    const before = new Map(this.nodes.map((one) => [one.id, one.status]));
    this.nodes = this.model.get("tree");
    this.current = this.model.get("node");
    this.root.hidden = this.nodes.length === 0;
    const focused = this.focused;
    const kept = focused ? this.at : this.current;
    this.items = new Map();
    this.path.replaceChildren(...this.steps());
    this.list.replaceChildren(...(this.nodes.length ? [this.item(0, null)] : []));
    this.aim(this.items.has(kept) ? kept : this.current, focused);
    const news = this.nodes.filter((one) => before.has(one.id) && before.get(one.id) !== one.status);
    return news.map((one) => `${nameOf(one)}: ${one.status}${one.message && `, ${one.message}`}`).join("; ");
  }

  /** What is shown, in words. */
  get told(): string {
    const node = this.nodes.find((one) => one.id === this.current);
    return `branch: ${node ? nameOf(node) : ORIGINAL}`;
  }

  get focused(): boolean {
    return this.list.contains(rootOf(this.root).activeElement);
  }

  focus(): void {
    this.items.get(this.current)?.focus({ preventScroll: true });
  }

  /** From the original to what is shown, to go back on. */
  private steps(): HTMLElement[] {
    const made: HTMLElement[] = [];
    const add = (id: number, name: string, label: string) => {
      const link = button(name, label, () => this.go(id));
      if (id === this.current) link.setAttribute("aria-current", "true");
      if (made.length) made.push(element("span", "", "›"));
      made.push(link);
    };
    if (!this.nodes.length) return made;
    add(0, "original", "Go to the answer as it came");
    for (const node of pathTo(this.nodes, this.current)) {
      add(node.id, `${node.position + 1}: ${node.label}`, `Go to ${nameOf(node)}`);
    }
    return made;
  }

  private item(id: number, node: Node | null): HTMLElement {
    const item = element("li");
    item.setAttribute("role", "treeitem");
    item.dataset["node"] = String(id);
    item.tabIndex = -1;
    if (node?.status === "asking") item.setAttribute("aria-disabled", "true");
    if (id === this.current) item.setAttribute("aria-current", "true");
    item.setAttribute("aria-selected", String(id === this.current));
    const line = element("span", "deluge-node");
    line.append(element("span", "deluge-button", node ? nameOf(node) : ORIGINAL));
    line.append(element("span", `deluge-note deluge-${node?.status ?? "ready"}`, this.note(node)));
    item.append(line);
    this.items.set(id, item);
    const own = this.nodes.filter((one) => one.parent === id);
    if (own.length) {
      item.setAttribute("aria-expanded", "true");
      const list = element("ul");
      list.setAttribute("role", "group");
      list.append(...own.map((one) => this.item(one.id, one)));
      item.append(list);
    }
    return item;
  }

  private note(node: Node | null): string {
    if (node?.status === "asking") return "asking the model …";
    if (node?.status === "failed") return `failed: ${node.message} Choose it to ask again.`;
    const { total, tokens } = node ?? this.original();
    return [tokens === null ? "" : pluralize(tokens), joint(total)].filter(Boolean).join(" · ");
  }

  /** The original's sum; counted once for the same rows. */
  private original(): { total: number; tokens: number } {
    const data = this.model.get("data");
    if (this.summed?.data !== data) {
      const logprobs = unpack(data).columns["logprob"] as Float32Array;
      const [total] = sumLogprobs({ logprob: logprobs }, 0, logprobs.length);
      this.summed = { data, total, tokens: logprobs.length };
    }
    return this.summed;
  }

  private get at(): number {
    const found = [...this.items].find(([, item]) => item.tabIndex === 0);
    return found?.[0] ?? this.current;
  }

  /** One item can be reached with Tab; the arrows move on from there. */
  private aim(id: number, focus: boolean): void {
    for (const [other, item] of this.items) item.tabIndex = other === id ? 0 : -1;
    if (focus) this.items.get(id)?.focus({ preventScroll: true });
  }

  private idOf(event: Event): number | null {
    const item = (event.target as Element | null)?.closest?.<HTMLElement>("[data-node]");
    return item ? Number(item.dataset["node"]) : null;
  }

  private choose(id: number | null): void {
    if (id === null) return;
    this.aim(id, true);
    const node = this.nodes.find((one) => one.id === id);
    if (node?.status === "failed") {
      // Once more: what failed may have been the network.
      this.model.send({ branch: { node: node.parent, token: node.position, place: node.place } });
    } else if (node?.status !== "asking") this.go(id);
  }

  private press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const from = this.idOf(event);
    if (from === null) return;
    if (event.key === "Enter" || event.key === " ") this.choose(from);
    else {
      const to = step(this.nodes, from, event.key);
      if (to !== null) this.aim(to, true);
      else if (!event.key.startsWith("Arrow")) return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
