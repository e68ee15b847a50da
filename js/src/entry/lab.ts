// The widgets of the course, as one anywidget module.

import { fitCharts } from "../host/chart_width.ts";
import { hideFallback } from "../host/fallback.ts";
import { defineWidget } from "../host/widget.ts";
import { Bets } from "../lab/bets.ts";
import { Dial } from "../lab/dial.ts";
import type { BetsModel, DialModel } from "../lab/model.ts";

export default defineWidget((model: DialModel | BetsModel, el, signal) => {
  const isDial = (model as DialModel).get("kind") === "dial";
  const widget = isDial ? new Dial(model as DialModel, signal) : new Bets(model as BetsModel, signal);
  el.append(widget.root);
  signal.addEventListener("abort", () => widget.root.remove());
  hideFallback((model as DialModel).get("link"), signal);
  fitCharts();
});
