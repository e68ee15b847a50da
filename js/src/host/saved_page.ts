// Runs a widget in a saved page, without a host, a kernel or a network. Python writes these pages in
// deluge_nb/render/saved_page.py.

import { Refusal, StaticModel } from "./static_model.ts";

interface Widget {
  render(context: { model: never; el: HTMLElement }): unknown;
}

function textOf(id: string): string {
  return document.getElementById(id)?.textContent ?? "";
}

async function decompress(base64: string): Promise<DataView> {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new DataView(await new Response(stream).arrayBuffer());
}

/** A page has no kernel: what asks Python must say so. */
function refuse(): never {
  throw new Refusal("not in this page, which has no kernel");
}

/** Render a widget from the traits that are stored in the page. */
export async function renderSavedPage(widget: Widget): Promise<void> {
  const state: Record<string, unknown> = JSON.parse(textOf("deluge-state"));
  const binaryNames: string[] = JSON.parse(textOf("deluge-binary"));
  for (const name of binaryNames) state[name] = await decompress(textOf(`deluge-${name}`));
  widget.render({
    model: new StaticModel(state, refuse) as never,
    el: document.querySelector("main") as HTMLElement,
  });
}
