// What a saved page of a view runs.

import { show } from "./alone.ts";
import widget from "./index.ts";

show(widget);
