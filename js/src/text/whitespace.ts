// Chooses how white space is drawn: with marks where it would be invisible, with marks everywhere, or without marks.

import type { Fragment } from "../data/store.ts";

/** The text to draw for a fragment. `spaces` is the trait of that name. */
export function shownText(fragment: Fragment, spaces: string): string {
  const { shown, copied, breaks } = fragment;
  if (spaces === "all") return shown.replaceAll(" ", "·");
  if (spaces !== "plain") return shown;
  const body = breaks ? copied.replace(/\n$/, "") : copied;
  // Draw at least one space, so that there is something to point at. Keep marks for anything but white space.
  if (/^[ \t]*$/.test(body) && copied) return `${body.replaceAll("\t", "    ")}${breaks ? " " : ""}`;
  return breaks ? shown.replace(/↵$/, " ") : shown;
}
