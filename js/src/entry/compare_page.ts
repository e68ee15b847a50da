// The script of a saved page with a comparison.

import { renderSavedPage } from "../host/saved_page.ts";
import widget from "./compare.ts";

renderSavedPage(widget);
