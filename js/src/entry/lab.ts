// The widgets of the course, as one anywidget module.

import { fitCharts } from "../host/chart_width.ts";
import { hideFallback } from "../host/fallback.ts";
import { defineWidget } from "../host/widget.ts";
import { Bets } from "../lab/bets.ts";
import { Dial } from "../lab/dial.ts";
import { EventPicker } from "../lab/event.ts";
import type { BetsModel, DialModel, EventModel } from "../lab/model.ts";

export default defineWidget((model: DialModel | BetsModel | EventModel, el, signal) => {
  const { root } = created(model, signal);
  el.append(root);
  signal.addEventListener("abort", () => root.remove());
  hideFallback((model as DialModel).get("link"), signal);
  fitCharts();
});

function created(model: DialModel | BetsModel | EventModel, signal: AbortSignal): Dial | Bets | EventPicker {
  const kind: "dial" | "bets" | "event" = (model as { get(name: "kind"): "dial" | "bets" | "event" }).get(
    "kind",
  );
  if (kind === "dial") return new Dial(model as DialModel, signal);
  if (kind === "bets") return new Bets(model as BetsModel, signal);
  return new EventPicker(model as EventModel, signal);
}
