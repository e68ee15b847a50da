// What a key does. Pure: the position goes in, the position comes out.

export type Move =
  | { kind: "token"; by: number }
  | { kind: "line"; by: number }
  | { kind: "to"; token: number };
export type Action =
  | Move
  | { kind: "card" }
  | { kind: "escape" }
  | { kind: "search" }
  | { kind: "surprise"; by: 1 | -1 }
  | { kind: "hit"; by: 1 | -1 }
  | { kind: "pin" }
  | { kind: "copy" }
  | { kind: "list" }
  | { kind: "help" };

/** What is said of the keys; the same that are read below. */
export const KEYS: [string, string][] = [
  ["← → ↑ ↓", "token or line before, after"],
  ["Shift ← → ↑ ↓", "choose a range of tokens"],
  ["Ctrl A, Ctrl C", "choose all; copy the text of what is chosen"],
  ["Home End", "first, last token"],
  ["Page ↑ ↓", "ten lines"],
  ["Enter", "open the card; again to go into it"],
  ["Esc", "close the card, then let go"],
  ["n p", "next, previous surprise"],
  ["s", "list of surprises"],
  ["/", "search; then Enter, and g G for next and previous hit"],
  ["k", "keep the card below the text"],
  ["c", "copy the card as a table"],
  ["?", "these keys"],
];

const PAGE = 10;

/** The action of a key, or null where the key is not ours. */
export function actionOf(key: string, count: number): Action | null {
  switch (key) {
    case "ArrowRight":
      return { kind: "token", by: 1 };
    case "ArrowLeft":
      return { kind: "token", by: -1 };
    case "ArrowDown":
      return { kind: "line", by: 1 };
    case "ArrowUp":
      return { kind: "line", by: -1 };
    case "PageDown":
      return { kind: "line", by: PAGE };
    case "PageUp":
      return { kind: "line", by: -PAGE };
    case "Home":
      return { kind: "to", token: 0 };
    case "End":
      return { kind: "to", token: count - 1 };
    case "Enter":
    case " ":
      return { kind: "card" };
    case "Escape":
      return { kind: "escape" };
    case "/":
      return { kind: "search" };
    case "n":
      return { kind: "surprise", by: 1 };
    case "p":
      return { kind: "surprise", by: -1 };
    case "g":
      return { kind: "hit", by: 1 };
    case "G":
      return { kind: "hit", by: -1 };
    case "k":
      return { kind: "pin" };
    case "c":
      return { kind: "copy" };
    case "s":
      return { kind: "list" };
    case "?":
      return { kind: "help" };
    default:
      return null;
  }
}

/** A position moved within its bounds; the first move from nowhere goes to an end. */
export function moved(from: number | null, by: number, count: number): number {
  if (from === null) return by > 0 ? 0 : count - 1;
  return Math.max(0, Math.min(count - 1, from + by));
}
