// What a saved page of a comparison runs.

import { show } from "../host/saved_page.ts";
import widget from "./compare.ts";

show(widget);
