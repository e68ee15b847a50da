// A completion's tokens, coloured by how sure the model was. Knows of its host only a model with traits.

import { unpack } from "../data/codec.ts";
import { hideFallback } from "../host/fallback.ts";
import { batchChanges } from "../host/traits.ts";
import type { Model } from "../view/model.ts";
import { View } from "../view/view.ts";

/** What came with messages and is in no trait, in order: a view that begins with these bytes goes on with it. */
const later = new WeakMap<DataView, Map<DataView, string>>();

function keep(data: DataView, part: string, block: DataView): void {
  const blocks = later.get(data) ?? new Map<DataView, string>();
  later.set(data, blocks.set(block, part));
}

function render({ model, el, signal }: { model: Model; el: HTMLElement; signal?: AbortSignal }) {
  const ended = new AbortController();
  let drawing = new AbortController();
  let view: View | undefined;
  const redraw = () => {
    const old = view;
    const state = old?.saveState();
    drawing.abort();
    drawing = new AbortController();
    view = new View(model, drawing.signal, state?.query);
    if (old) old.root.replaceWith(view.root);
    else el.append(view.root);
    const rest = model.get("node") ? undefined : later.get(model.get("data"));
    for (const [block, part] of rest ?? []) view.receive(part, unpack(block));
    view.arrange();
    if (state) view.restoreState(state);
  };
  redraw();
  const received = (content: { parts?: string[]; node?: number }, buffers: DataView[]) => {
    const shown = (content.node ?? 0) === model.get("node");
    const grows = !content.node && content.parts?.includes("tokens");
    for (const [at, part] of (content.parts ?? []).entries()) {
      const block = buffers[at];
      if (!block) continue;
      if (grows) keep(model.get("data"), part, block);
      // Else of a branch, or of the original, that is not on the screen any more.
      if (shown) view?.receive(part, unpack(block));
    }
    if (shown) view?.refreshCards();
  };
  // What has only grown goes on where it stands.
  const renew = batchChanges(() => {
    if (!view?.update()) redraw();
  }, ended.signal);
  const walk = batchChanges(redraw, ended.signal);
  model.on("change:data", renew);
  model.on("change:node", walk);
  model.on("msg:custom", received);
  const showFallback = hideFallback(model.get("link"));
  const end = () => {
    ended.abort();
    showFallback();
    model.off("change:data", renew);
    model.off("change:node", walk);
    model.off("msg:custom", received);
    drawing.abort();
  };
  signal?.addEventListener("abort", end, { once: true });
  return end;
}

export default { render };
