// What a saved page of a view runs.

import { renderSavedPage } from "../host/saved_page.ts";
import widget from "./view.ts";

renderSavedPage(widget);
