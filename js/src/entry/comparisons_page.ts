// The script of a saved page with comparisons of many answers.

import { renderSavedPage } from "../host/saved_page.ts";
import widget from "./comparisons.ts";

renderSavedPage(widget);
