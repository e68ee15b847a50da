// What a saved page of a comparison runs.

import { show } from "../alone.ts";
import widget from "./index.ts";

show(widget);
