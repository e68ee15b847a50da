// The widget that compares the answers to many inputs, as an anywidget module.

import type { Model } from "../comparisons/model.ts";
import { ComparisonsView } from "../comparisons/view.ts";
import { hideFallback } from "../host/fallback.ts";
import { onMessage } from "../host/traits.ts";
import { defineWidget, ViewSlot } from "../host/widget.ts";

/** A message with the parts that were requested for a response of the opened row, each in a buffer of its own. */
interface Message {
  parts?: string[];
  side?: number;
  row?: number;
}

export default defineWidget((model: Model, el, signal) => {
  const slot = new ViewSlot<ComparisonsView>(el, signal);
  slot.replace((viewSignal) => new ComparisonsView(model, viewSignal)).arrange();
  onMessage(
    model,
    ({ row = -1, side = 0, parts = [] }: Message, buffers) =>
      slot.current?.receive(row, side, parts, buffers),
    signal,
  );
  hideFallback(model.get("link"), signal);
});
