// Keeps the stylesheet that the host has put on the page. anywidget writes it again for each further widget, and browsers
// then style every element of every view anew: the two-hundredth view cost twice as much as the first.

/** Let the stylesheet with this id ignore a text that it has already. */
export function keepStylesheet(id: string): void {
  const style = document.getElementById(id);
  let text = style?.textContent;
  Object.defineProperty(style ?? {}, "textContent", {
    configurable: true,
    get: () => text,
    set(next) {
      if (text !== next) style?.replaceChildren(next);
      text = next;
    },
  });
}
