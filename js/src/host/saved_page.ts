// Runs a widget in a saved page, without a host, a kernel or a network. Python writes these pages in
// deluge_nb/render/saved_page.py.

interface Widget {
  render(context: { model: never; el: HTMLElement }): unknown;
}

type Listener = (...values: never[]) => void;

/** The model of a saved page: traits and their listeners, with no Python behind them. */
class StaticModel {
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(private readonly state: Record<string, unknown>) {}

  get(name: string): unknown {
    return this.state[name];
  }

  set(name: string, value: unknown): void {
    if (this.state[name] === value) return;
    this.state[name] = value;
    for (const listener of this.#listeners.get(`change:${name}`) ?? []) listener();
  }

  on(name: string, listener: Listener): void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
  }

  off(name: string, listener: Listener): void {
    this.#listeners.get(name)?.delete(listener);
  }

  save_changes(): void {}
  send(): void {}
}

function textOf(id: string): string {
  return document.getElementById(id)?.textContent ?? "";
}

async function decompress(base64: string): Promise<DataView> {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new DataView(await new Response(stream).arrayBuffer());
}

/** Render a widget from the traits that are stored in the page. */
export async function renderSavedPage(widget: Widget): Promise<void> {
  const state: Record<string, unknown> = JSON.parse(textOf("deluge-state"));
  const binaryNames: string[] = JSON.parse(textOf("deluge-binary"));
  for (const name of binaryNames) state[name] = await decompress(textOf(`deluge-${name}`));
  widget.render({
    model: new StaticModel(state) as never,
    el: document.querySelector("main") as HTMLElement,
  });
}
