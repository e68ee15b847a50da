// The script of a saved page with a widget of the course.

import { renderSavedPage } from "../host/saved_page.ts";
import widget from "./lab.ts";

renderSavedPage(widget);
