// Responses side by side, aligned by their text. Knows of its host only a model with traits.

import type { Model } from "../compare/model.ts";
import { CompareView } from "../compare/view.ts";
import { hideFallback } from "../host/fallback.ts";

function render({ model, el, signal }: { model: Model; el: HTMLElement; signal?: AbortSignal }) {
  let drawing = new AbortController();
  let view: CompareView | undefined;
  const redraw = () => {
    drawing.abort();
    drawing = new AbortController();
    const old = view;
    view = new CompareView(model, drawing.signal);
    if (old) old.root.replaceWith(view.root);
    else el.append(view.root);
    view.arrange();
  };
  redraw();
  const received = (content: { parts?: string[]; side?: number }, buffers: DataView[]) => {
    view?.receive(content.side ?? 0, content.parts ?? [], buffers);
  };
  model.on("change:alignment", redraw);
  model.on("msg:custom", received);
  const showFallback = hideFallback(model.get("link"));
  const end = () => {
    showFallback();
    model.off("change:alignment", redraw);
    model.off("msg:custom", received);
    drawing.abort();
  };
  signal?.addEventListener("abort", end, { once: true });
  return end;
}

export default { render };
