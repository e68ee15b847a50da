// Maps keys to actions. Touches no element: positions go in, positions come out.

/** A move by tokens, by lines, or to a token. */
export type Move =
  | { kind: "token"; by: number }
  | { kind: "line"; by: number }
  | { kind: "to"; token: number };

/** `surprise` steps through the surprises of a view, or through the differences of a comparison. */
export type Action =
  | Move
  | { kind: "card" }
  | { kind: "escape" }
  | { kind: "search" }
  | { kind: "surprise"; by: 1 | -1 }
  | { kind: "match"; by: 1 | -1 }
  | { kind: "pin" }
  | { kind: "copy" }
  | { kind: "list" }
  | { kind: "help" };

/** Lines that a page key moves. */
const PAGE = 10;

/** The action of a key; null if the key belongs to the host. */
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
      return { kind: "match", by: 1 };
    case "G":
      return { kind: "match", by: -1 };
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

/** Move a position within its bounds. Without a position, the first move goes to the first or the last one. */
export function movePosition(from: number | null, by: number, count: number): number {
  if (from === null) return by > 0 ? 0 : count - 1;
  return Math.max(0, Math.min(count - 1, from + by));
}
