// What stands in for a widget, in the output before its own (deluge_nb/widget/fallback.py), goes where the widget is.

/** Hide what stands in for the widget of that name; gives what shows it again. */
export function hideStill(name: string): () => void {
  if (!name) return () => {};
  const still = `.deluge-still[data-link="${CSS.escape(name)}"]`;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`${still},.jp-OutputArea-child:has(${still}){display:none}`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  return () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
  };
}
