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

/**
 * Keep keys that are pressed in an element from Jupyter, which otherwise handles them before the page does. It must be the
 * element that has the focus: an ancestor is too late, because Jupyter looks for shortcuts of the focused element first.
 */
export function suppressShortcuts<E extends HTMLElement>(target: E): E {
  target.dataset["lmSuppressShortcuts"] = "true";
  return target;
}

/** A button with a short label, and a title that says what the label means. */
export function button(label: string, title: string, onClick: (event: Event) => void): HTMLButtonElement {
  const created = plainButton("deluge-button", label, title);
  if (title) created.setAttribute("aria-label", title);
  created.addEventListener("click", onClick);
  return created;
}

/** A button that is named by its text; its title is a hint. */
export function plainButton(look: string, text: string, title: string): HTMLButtonElement {
  const created = suppressShortcuts(element("button", look, text));
  created.type = "button";
  if (title) created.title = title;
  return created;
}

/** An input element with the given properties. */
export function input(properties: Partial<HTMLInputElement>): HTMLInputElement {
  const created = suppressShortcuts(element("input"));
  Object.assign(created, properties);
  return created;
}

/** A drop-down list. The text of an option is its value, unless another is given. */
export function dropdown(
  title: string,
  options: readonly (string | readonly [value: string, text: string])[],
  onSelect: (value: string) => void,
): HTMLSelectElement {
  const created = suppressShortcuts(element("select", "deluge-choice"));
  for (const item of options) {
    const [value, text] = typeof item === "string" ? [item, item] : item;
    const option = element("option", "", text);
    option.value = value;
    created.append(option);
  }
  created.setAttribute("aria-label", title);
  created.title = title;
  created.addEventListener("change", () => onSelect(created.value));
  return created;
}

/** The document or shadow tree of a node: in a shadow tree, only the tree knows the focus and what lies where. */
export function rootOf(node: Node): Document | ShadowRoot {
  return node.getRootNode() as Document | ShadowRoot;
}

/** The focused element, seen from a node. */
export function focusedFrom(node: Node): Element | null {
  return rootOf(node).activeElement;
}

let isUpdating = false;

/** True while `keepFocus` updates an element. Chromium reports that the focus leaves a control when it is removed. */
export function keepsFocus(): boolean {
  return isUpdating;
}

/** Update the content of an element, and keep the focus: on its control, or if that was replaced, on that with its index. */
export function keepFocus(root: HTMLElement, update: () => void): void {
  const controls = () => [...root.querySelectorAll<HTMLElement>("button, input")];
  const focused = focusedFrom(root) as HTMLElement | null;
  const index = focused ? controls().indexOf(focused) : -1;
  isUpdating = true;
  update();
  isUpdating = false;
  const target = focused && root.contains(focused) ? focused : controls()[index];
  if (index >= 0) target?.focus({ preventScroll: true });
}

/** A form of addEventListener whose listeners are removed when the signal is aborted. */
export function listenUntil(signal: AbortSignal) {
  return <K extends keyof HTMLElementEventMap>(
    target: HTMLElement,
    name: K,
    listener: (event: HTMLElementEventMap[K]) => void,
  ): void => target.addEventListener(name, listener, { signal });
}
