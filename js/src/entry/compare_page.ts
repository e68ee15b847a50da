// What a saved page of a comparison runs.

import { renderSavedPage } from "../host/saved_page.ts";
import widget from "./compare.ts";

renderSavedPage(widget);
