// Hides the static output that stands in for a widget while the widget is on the page. Python writes that output in
// deluge_nb/widget/fallback.py.

/** Hide the static output with the given link name, until the signal is aborted. */
export function hideFallback(link: string, signal: AbortSignal): void {
  if (!link) return;
  const selector = `.deluge-still[data-link="${CSS.escape(link)}"]`;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`${selector},.jp-OutputArea-child:has(${selector}){display:none}`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  signal.addEventListener("abort", () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
  });
}
