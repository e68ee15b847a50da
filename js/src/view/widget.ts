// The widget that shows one completion, in an element of its host.

import { unpack } from "../data/codec.ts";
import { batchChanges, onChange, onMessage } from "../host/traits.ts";
import { ViewSlot } from "../host/widget.ts";
import type { Model } from "./model.ts";
import { View } from "./view.ts";

/** A message with parts of the answer at a node of the branch tree, each in a buffer of its own. */
interface Message {
  parts?: string[];
  node?: number;
}

/**
 * Blocks that arrived in messages and are in no trait, in order, with their parts; by the data that they continue. Views
 * that are created later from the same data need them too.
 */
const appended = new WeakMap<DataView, Map<DataView, string>>();

function keepAppended(data: DataView, block: DataView, part: string): void {
  const blocks = appended.get(data) ?? new Map<DataView, string>();
  appended.set(data, blocks.set(block, part));
}

function createView(model: Model, slot: ViewSlot<View>): void {
  const state = slot.current?.saveState();
  const view = slot.replace((signal) => new View(model, signal, state?.query));
  const blocks = model.get("node") ? undefined : appended.get(model.get("data"));
  for (const [block, part] of blocks ?? []) view.receive(part, unpack(block));
  view.arrange();
  if (state) view.restoreState(state);
}

export function show(model: Model, el: HTMLElement, signal: AbortSignal): void {
  const slot = new ViewSlot<View>(el, signal);
  const redraw = () => createView(model, slot);
  redraw();
  onMessage(
    model,
    ({ node = 0, parts = [] }: Message, buffers) => {
      const isShown = node === model.get("node");
      const isAppended = node === 0 && parts.includes("tokens");
      for (const [index, part] of parts.entries()) {
        const block = buffers[index];
        if (!block) continue;
        if (isAppended) keepAppended(model.get("data"), block, part);
        if (isShown) slot.current?.receive(part, unpack(block));
      }
      if (isShown) slot.current?.refreshCards();
    },
    signal,
  );
  const onData = () => {
    // A text that has only grown keeps its view.
    if (!slot.current?.update()) redraw();
  };
  onChange(model, ["data"], batchChanges(onData, signal), signal);
  onChange(model, ["node"], batchChanges(redraw, signal), signal);
}
