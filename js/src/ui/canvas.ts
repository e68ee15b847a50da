// Sharp canvases, and the horizontal scale of the strips that show a whole text.

/** The drawing context of an empty canvas with the given size in CSS pixels; null if there is no room or no context. */
export function clearCanvas(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D | null {
  const context = width ? canvas.getContext("2d") : null;
  if (!context) return null;
  const density = window.devicePixelRatio || 1;
  // Setting the size, even to the same value, allocates the canvas again.
  if (canvas.width !== Math.round(width * density)) {
    canvas.width = Math.round(width * density);
    canvas.height = height * density;
  }
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** The width of each of `count` tokens on a strip that they fill: px. */
export function tokenWidth(stripWidth: number, count: number): number {
  return stripWidth / Math.max(1, count);
}
