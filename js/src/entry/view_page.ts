// The script of a saved page with a view.

import { renderSavedPage } from "../host/saved_page.ts";
import { defineWidget } from "../host/widget.ts";
import { show } from "../view/widget.ts";

renderSavedPage(defineWidget(show));
