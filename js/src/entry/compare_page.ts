// The script of a saved page with a comparison.

import { show } from "../compare/widget.ts";
import { renderSavedPage } from "../host/saved_page.ts";
import { defineWidget } from "../host/widget.ts";

renderSavedPage(defineWidget(show));
