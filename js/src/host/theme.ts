// The host's colour theme, as the host marks it on the page. The stylesheet alone cannot follow it, because some hosts
// put views into shadow trees, whose styles do not see the page's classes and attributes.

/** The theme that elements declare, or else that of the colour they are painted in; empty if they have neither. */
function themeOf(elements: Element[]): "light" | "dark" | "" {
  // Jupyter and Colab use attributes, VS Code and marimo use classes.
  for (const element of elements) {
    for (const theme of ["light", "dark"] as const) {
      const marks = `.${theme},.vscode-${theme},[theme=${theme}],[data-jp-theme-light=${theme === "light"}]`;
      if (element.matches(marks)) return theme;
    }
  }
  // Panel only paints the page. "rgb(" with three numbers is an opaque colour, whose luminance is mostly in its green.
  for (const element of elements) {
    const [, green, blue, alpha] = getComputedStyle(element).backgroundColor.split(", ");
    if (blue && !alpha) return Number(green) > 127 ? "light" : "dark";
  }
  return "";
}

/** Keep the `data-theme` attribute of an element equal to the host's theme. `changed` runs after each possible change. */
export function followTheme(root: HTMLElement, changed: () => void, signal: AbortSignal): void {
  const elements = [document.body, document.documentElement];
  const apply = () => {
    root.dataset["theme"] = themeOf(elements);
  };
  const update = () => {
    apply();
    changed();
  };
  apply();
  const observer = new MutationObserver(update);
  for (const element of elements) observer.observe(element, { attributes: true });
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"])
    matchMedia(query).addEventListener("change", update, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
}
