// The script of a saved page with a view.

import { renderSavedPage } from "../host/saved_page.ts";
import widget from "./view.ts";

renderSavedPage(widget);
