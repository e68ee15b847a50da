// The widget that compares responses, as an anywidget module.

import type { Model } from "../compare/model.ts";
import { show } from "../compare/widget.ts";
import { hideFallback } from "../host/fallback.ts";
import { defineWidget } from "../host/widget.ts";

export default defineWidget((model: Model, el, signal) => {
  show(model, el, signal);
  hideFallback(model.get("link"), signal);
});
