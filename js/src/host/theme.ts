// The host's theme, as it says it on the page: the styles of a shadow tree, where some hosts put views, see nothing of it.

/** What the page says of itself; empty where it says nothing. */
export function themeOf(page: Document): "light" | "dark" | "" {
  const { body, documentElement } = page;
  const jupyter = body.dataset["jpThemeLight"];
  if (jupyter) return jupyter === "true" ? "light" : "dark";
  // Colab's.
  const own = documentElement.getAttribute("theme");
  if (own === "light" || own === "dark") return own;
  for (const one of [body, documentElement]) {
    for (const theme of ["light", "dark"] as const) {
      if (one.classList.contains(theme) || one.classList.contains(`vscode-${theme}`)) return theme;
    }
  }
  return "";
}

/** Give an element the host's theme, and again whenever it may have changed; `changed` is told then. */
export function followTheme(root: HTMLElement, changed: () => void, signal: AbortSignal): void {
  const follow = () => {
    const theme = themeOf(document);
    if (theme) root.dataset["theme"] = theme;
    else delete root.dataset["theme"];
  };
  const again = () => {
    follow();
    changed();
  };
  follow();
  const watching = new MutationObserver(again);
  watching.observe(document.body, { attributes: true });
  watching.observe(document.documentElement, { attributes: true });
  for (const asked of ["(prefers-color-scheme: dark)", "(forced-colors: active)"])
    matchMedia(asked).addEventListener("change", again, { signal });
  signal.addEventListener("abort", () => watching.disconnect());
}
