// The widget that compares the answers to many inputs, as an anywidget module.

import type { Model } from "../comparisons/model.ts";
import { show } from "../comparisons/widget.ts";
import { hideFallback } from "../host/fallback.ts";
import { defineWidget } from "../host/widget.ts";

export default defineWidget((model: Model, el, signal) => {
  show(model, el, signal);
  hideFallback(model.get("link"), signal);
});
