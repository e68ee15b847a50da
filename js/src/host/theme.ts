// The host's colour theme, as the host marks it on the page. The stylesheet alone cannot follow it, because some hosts
// put views into shadow trees, whose styles do not see the page's classes and attributes.

/** The theme that the page declares; empty if it declares none. */
export function hostTheme(page: Document): "light" | "dark" | "" {
  const { body, documentElement } = page;
  const jupyter = body.dataset["jpThemeLight"];
  if (jupyter) return jupyter === "true" ? "light" : "dark";
  // Colab uses this attribute.
  const colab = documentElement.getAttribute("theme");
  if (colab === "light" || colab === "dark") return colab;
  // VS Code and marimo use classes.
  for (const { classList } of [body, documentElement]) {
    for (const theme of ["light", "dark"] as const) {
      if (classList.contains(theme) || classList.contains(`vscode-${theme}`)) return theme;
    }
  }
  return "";
}

/** Keep the `data-theme` attribute of an element equal to the host's theme. `changed` runs after each possible change. */
export function followTheme(root: HTMLElement, changed: () => void, signal: AbortSignal): void {
  const apply = () => {
    const theme = hostTheme(document);
    if (theme) root.dataset["theme"] = theme;
    else delete root.dataset["theme"];
  };
  const update = () => {
    apply();
    changed();
  };
  apply();
  const observer = new MutationObserver(update);
  observer.observe(document.body, { attributes: true });
  observer.observe(document.documentElement, { attributes: true });
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"])
    matchMedia(query).addEventListener("change", update, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
}
