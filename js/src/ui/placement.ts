// Places a card so that it covers neither its token nor another token of the line that is being read.

/** The edges of a rectangle, in px of the window. */
export interface Edges {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Placement {
  left: number;
  top: number;
  /** The card scrolls inside if it is higher. */
  maxHeight: number;
}

interface Size {
  width: number;
  height: number;
}

/** Distance between a card, the text and the edges of the window: px. */
export const GAP = 6;

/**
 * Place a card beside the text if there is room, else below or above the line.
 *
 * @param card - The size that the card would like to have.
 * @param x - The left edge of the token.
 * @param line - The line of the token, or all lines of a token that has several.
 * @param text - The visible text.
 * @param screen - The part of the window that is seen: a reader may have enlarged it with two fingers.
 */
export function place(card: Size, x: number, line: Edges, text: Edges, screen: Edges): Placement {
  const highest = screen.bottom - screen.top - 2 * GAP;
  const height = Math.min(card.height, highest);
  const leftmost = screen.left + GAP;
  const rightmost = screen.right - GAP - card.width;
  const left = text.right + GAP;
  const beside = left <= rightmost ? left : text.left - GAP - card.width;
  const below = screen.bottom - line.bottom - 2 * GAP;
  const above = line.top - screen.top - 2 * GAP;
  // Below or above the only line a card covers no text either, and it is nearer to the token.
  const isOnlyLine = line.top <= text.top && line.bottom >= text.bottom;
  const hasRoomBeside = beside >= leftmost && line.top < line.bottom;
  if (hasRoomBeside && !(isOnlyLine && Math.max(below, above) >= height)) {
    const top = Math.max(screen.top + GAP, Math.min(line.top, screen.bottom - GAP - height));
    return { left: beside, top, maxHeight: highest };
  }
  const isBelow = below >= height || below >= above;
  const room = Math.max(0, isBelow ? below : above);
  return {
    left: Math.max(leftmost, Math.min(x, rightmost)),
    top: isBelow ? line.bottom + GAP : line.top - GAP - Math.min(height, room),
    maxHeight: room,
  };
}
