// Creates elements without markup: text from a model is only ever set as textContent.

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  text = "",
): HTMLElementTagNameMap[K] {
  const created = document.createElement(tag);
  if (className) created.className = className;
  if (text) created.textContent = text;
  return created;
}

/** A button with a short label, and a title that says what the label means. */
export function button(label: string, title: string, onClick: (event: Event) => void): HTMLButtonElement {
  const created = element("button", "deluge-button", label);
  created.type = "button";
  if (title) {
    created.title = title;
    created.setAttribute("aria-label", title);
  }
  created.dataset["lmSuppressShortcuts"] = "true";
  created.addEventListener("click", onClick);
  return created;
}

/** A drop-down list. */
export function dropdown(
  title: string,
  options: readonly (readonly [value: string, text: string])[],
  onSelect: (value: string) => void,
): HTMLSelectElement {
  const created = element("select", "deluge-choice");
  for (const [value, text] of options) {
    const option = element("option", "", text);
    option.value = value;
    created.append(option);
  }
  created.setAttribute("aria-label", title);
  created.title = title;
  created.dataset["lmSuppressShortcuts"] = "true";
  created.addEventListener("change", () => onSelect(created.value));
  return created;
}

/** The document or shadow tree of a node: in a shadow tree, only the tree knows the focus and what lies where. */
export function rootOf(node: Node): Document | ShadowRoot {
  return node.getRootNode() as Document | ShadowRoot;
}

/** A form of addEventListener whose listeners are removed when the signal is aborted. */
export function listenUntil(signal: AbortSignal) {
  return <K extends keyof HTMLElementEventMap>(
    target: HTMLElement,
    name: K,
    listener: (event: HTMLElementEventMap[K]) => void,
  ): void => target.addEventListener(name, listener, { signal });
}
