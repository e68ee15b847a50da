// What a saved page of a view runs.

import { show } from "../host/saved_page.ts";
import widget from "./view.ts";

show(widget);
