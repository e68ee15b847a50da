// The widget that compares responses, as an anywidget module.

import type { Model } from "../compare/model.ts";
import { createTools } from "../compare/tools.ts";
import { CompareView } from "../compare/view.ts";
import { hideFallback } from "../host/fallback.ts";
import { onChange, onMessage } from "../host/traits.ts";
import { defineWidget, ViewSlot } from "../host/widget.ts";

/** A message with the parts that were requested for one response, each in a buffer of its own. */
interface Message {
  parts?: string[];
  side?: number;
}

export default defineWidget((model: Model, el, signal) => {
  const slot = new ViewSlot<CompareView>(el, signal);
  const redraw = () =>
    slot.replace((viewSignal) => new CompareView(model, viewSignal, createTools)).arrange();
  redraw();
  onChange(model, ["alignment"], redraw, signal);
  onMessage(
    model,
    ({ side = 0, parts = [] }: Message, buffers) => slot.current?.receive(side, parts, buffers),
    signal,
  );
  hideFallback(model.get("link"), signal);
});
