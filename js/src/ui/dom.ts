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

/** A button that says in words what its sign means. */
export function button(sign: string, name: string, act: (event: Event) => void): HTMLButtonElement {
  const made = element("button", "deluge-button", sign);
  made.type = "button";
  if (name) {
    made.title = name;
    made.setAttribute("aria-label", name);
  }
  made.dataset["lmSuppressShortcuts"] = "true";
  made.addEventListener("click", act);
  return made;
}

/** A choice among a few, with its name in front. */
export function choice(
  name: string,
  options: readonly (readonly [value: string, text: string])[],
  chosen: (value: string) => void,
): HTMLSelectElement {
  const made = element("select", "deluge-choice");
  for (const [value, text] of options) {
    const option = element("option", "", text);
    option.value = value;
    made.append(option);
  }
  made.setAttribute("aria-label", name);
  made.title = name;
  made.dataset["lmSuppressShortcuts"] = "true";
  made.addEventListener("change", () => chosen(made.value));
  return made;
}

/** Some hosts put views in shadow trees, which have a focus and a geometry of their own. */
export function treeOf(node: Node): Document | ShadowRoot {
  return node.getRootNode() as Document | ShadowRoot;
}

/** Hear events of elements until a signal. */
export function hearing(signal: AbortSignal) {
  return <K extends keyof HTMLElementEventMap>(
    target: HTMLElement,
    name: K,
    heard: (event: HTMLElementEventMap[K]) => void,
  ): void => target.addEventListener(name, heard, { signal });
}
