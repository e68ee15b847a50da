import { expect, test } from "vitest";
import { type Edges, GAP, place } from "../../src/ui/placement.ts";

const CARD = { width: 400, height: 330 };
const edges = (left: number, top: number, right: number, bottom: number): Edges => ({
  left,
  top,
  right,
  bottom,
});

/** The edges of a card where it was placed. */
function placed(
  card: typeof CARD,
  x: number,
  line: Edges,
  text: Edges,
  width: number,
  height: number,
): Edges {
  const { left, top, maxHeight } = place(card, x, line, text, edges(0, 0, width, height));
  return edges(left, top, left + card.width, top + Math.min(card.height, maxHeight));
}

const overlaps = (a: Edges, b: Edges) =>
  a.left < b.right && a.right > b.left && a.top < b.bottom && a.bottom > b.top;

const heights = [480, 600, 720, 900, 1200];
const shares = Array.from({ length: 10 }, (_, step) => step / 9);
const cards = [CARD, { width: 720, height: 560 }, { width: 400, height: 90 }];

test.each(heights)("in a window %i px high a card covers no part of its line and stays inside", (height) => {
  for (const width of [410, 800, 1280]) {
    for (const share of shares) {
      for (const card of cards) {
        const size = { width: Math.min(card.width, width - 2 * GAP), height: card.height };
        for (const textWidth of [120, width - 40]) {
          const top = share * (height - 24);
          const text = edges(20, 0, 20 + textWidth, height);
          const line = edges(20, top, 20 + textWidth, top + 24);
          const at = placed(size, 20 + share * textWidth, line, text, width, height);
          expect(overlaps(at, line), JSON.stringify({ width, share, textWidth })).toBe(false);
          expect(at.left).toBeGreaterThanOrEqual(GAP);
          expect(at.right).toBeLessThanOrEqual(width - GAP);
          expect(at.top).toBeGreaterThanOrEqual(GAP);
          expect(at.bottom).toBeLessThanOrEqual(height - GAP);
        }
      }
    }
  }
});

test("with room beside the text, no line is covered", () => {
  const text = edges(20, 100, 400, 600);
  for (const share of shares) {
    const top = 100 + share * 476;
    const at = placed(CARD, 60, edges(20, top, 300, top + 24), text, 1280, 720);
    expect(overlaps(at, text)).toBe(false);
  }
});

test("with room only to the left, the card stands there", () => {
  const text = edges(500, 100, 1270, 600);
  expect(placed(CARD, 600, edges(500, 200, 1200, 224), text, 1280, 720).right).toBe(500 - GAP);
});

test("of the only line the card stands below, or above at the end of the window", () => {
  const below = edges(20, 100, 400, 124);
  expect(placed(CARD, 60, below, below, 1280, 720).top).toBe(124 + GAP);
  const above = edges(20, 600, 400, 624);
  expect(placed(CARD, 60, above, above, 1280, 720).bottom).toBe(600 - GAP);
});

test("without enough room, the card takes the larger part and scrolls", () => {
  const text = edges(20, 0, 390, 480);
  const at = place(CARD, 60, edges(20, 300, 390, 324), text, edges(0, 0, 410, 480));
  expect(at).toEqual({ left: GAP, top: GAP, maxHeight: 300 - 2 * GAP });
});

test("in the part of a window that is seen, a card stands as in a window of that size", () => {
  for (const card of cards) {
    for (const share of shares) {
      const top = Math.round(456 * share);
      const [line, text] = [edges(20, top, 300, top + 24), edges(20, 0, 500, 480)];
      const at = place(card, 60, line, text, edges(0, 0, 720, 480));
      const moved = (e: Edges) => edges(e.left + 360, e.top + 90, e.right + 360, e.bottom + 90);
      expect(place(card, 420, moved(line), moved(text), moved(edges(0, 0, 720, 480)))).toEqual({
        ...at,
        left: at.left + 360,
        top: at.top + 90,
      });
    }
  }
});
