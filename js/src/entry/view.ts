// The widget that shows one completion, as an anywidget module.

import { fitCharts } from "../host/chart_width.ts";
import { hideFallback } from "../host/fallback.ts";
import { defineWidget } from "../host/widget.ts";
import type { Model } from "../view/model.ts";
import { show } from "../view/widget.ts";

export default defineWidget((model: Model, el, signal) => {
  show(model, el, signal);
  hideFallback(model.get("link"), signal);
  fitCharts();
});
