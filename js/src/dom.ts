// Elements, made without markup: text from a model is only ever text.

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  text = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** A probability for people: `93.1 %`, and never a rounded 0 or 100. */
export function percent(probability: number): string {
  if (Number.isNaN(probability)) return "unknown";
  const value = probability * 100;
  if (value < 0.01) return value === 0 ? "0 %" : "<0.01 %";
  if (value > 99.99 && value < 100) return ">99.99 %";
  const digits = value < 1 || value >= 99.95 ? 2 : 1;
  return `${value.toFixed(digits).replace(/\.0+$/, "")} %`;
}
