// A widget in a page of its own, with no host, no kernel and no network: deluge_nb/render/saved_page.py writes such pages.

interface Widget {
  render(given: { model: never; el: HTMLElement }): unknown;
}

/** A model that nobody else shares. */
class Alone {
  private readonly heard = new Map<string, Set<(...told: never[]) => void>>();

  constructor(private readonly state: Record<string, unknown>) {}

  get(name: string): unknown {
    return this.state[name];
  }

  set(name: string, value: unknown): void {
    if (this.state[name] === value) return;
    this.state[name] = value;
    for (const heed of this.heard.get(`change:${name}`) ?? []) heed();
  }

  on(name: string, heed: (...told: never[]) => void): void {
    const all = this.heard.get(name) ?? new Set();
    this.heard.set(name, all.add(heed));
  }

  off(name: string, heed: (...told: never[]) => void): void {
    this.heard.get(name)?.delete(heed);
  }

  save_changes(): void {}
  send(): void {}
}

function told(id: string): string {
  return document.getElementById(id)?.textContent ?? "";
}

async function unzipped(text: string): Promise<DataView> {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new DataView(await new Response(stream).arrayBuffer());
}

/** Show a widget of the traits that the page has. */
export async function show(widget: Widget): Promise<void> {
  const state: Record<string, unknown> = JSON.parse(told("deluge-state"));
  const binary: string[] = JSON.parse(told("deluge-binary"));
  for (const name of binary) state[name] = await unzipped(told(`deluge-${name}`));
  widget.render({ model: new Alone(state) as never, el: document.querySelector("main") as HTMLElement });
}
