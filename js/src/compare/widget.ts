// The widget that compares responses, in an element of its host.

import { onChange, onMessage } from "../host/traits.ts";
import { ViewSlot } from "../host/widget.ts";
import type { Model } from "./model.ts";
import { createTools } from "./tools.ts";
import { CompareView } from "./view.ts";

/** A message with the parts that were requested for one response, each in a buffer of its own. */
interface Message {
  parts?: string[];
  side?: number;
}

export function show(model: Model, el: HTMLElement, signal: AbortSignal): void {
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
}
