// White space as it is wanted: marked where it stands alone, everywhere, or nowhere.

import type { Fragment } from "../data/store.ts";

export function spelled(stretch: Fragment, spaces: string): string {
  const { shown, copied, breaks } = stretch;
  if (spaces === "all") return shown.replaceAll(" ", "·");
  if (spaces !== "plain") return shown;
  const body = breaks ? copied.replace(/\n$/, "") : copied;
  // Something must be left to point at; and marks for other things than white space stay.
  if (/^[ \t]*$/.test(body) && copied) return `${body.replaceAll("\t", "    ")}${breaks ? " " : ""}`;
  return breaks ? shown.replace(/↵$/, " ") : shown;
}
