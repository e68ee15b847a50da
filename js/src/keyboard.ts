// What a key does. Pure: the position goes in, the position comes out.

export type Move =
  | { kind: "token"; by: number }
  | { kind: "line"; by: number }
  | { kind: "to"; token: number };
export type Action = Move | { kind: "card" } | { kind: "escape" };

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
    default:
      return null;
  }
}

/** A position moved within its bounds; the first move from nowhere goes to an end. */
export function moved(from: number | null, by: number, count: number): number {
  if (from === null) return by > 0 ? 0 : count - 1;
  return Math.max(0, Math.min(count - 1, from + by));
}
