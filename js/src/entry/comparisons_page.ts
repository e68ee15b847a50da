// The script of a saved page with comparisons of many answers.

import { show } from "../comparisons/widget.ts";
import { renderSavedPage } from "../host/saved_page.ts";
import { defineWidget } from "../host/widget.ts";

renderSavedPage(defineWidget(show));
