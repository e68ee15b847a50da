// The widget that compares the answers to many inputs, in an element of its host.

import { onMessage } from "../host/traits.ts";
import { ViewSlot } from "../host/widget.ts";
import type { Model } from "./model.ts";
import { ComparisonsView } from "./view.ts";

/** A message with the parts that were requested for a response of the opened row, each in a buffer of its own. */
interface Message {
  parts?: string[];
  side?: number;
  row?: number;
}

export function show(model: Model, el: HTMLElement, signal: AbortSignal): void {
  const slot = new ViewSlot<ComparisonsView>(el, signal);
  slot.replace((viewSignal) => new ComparisonsView(model, viewSignal)).arrange();
  onMessage(
    model,
    ({ row = -1, side = 0, parts = [] }: Message, buffers) =>
      slot.current?.receive(row, side, parts, buffers),
    signal,
  );
}
