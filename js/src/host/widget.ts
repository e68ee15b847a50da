// The life of a widget in its host: shown in an element, replaced by another view, ended. Of the host it knows only what
// every anywidget host provides: a model with traits, an element and, in newer hosts, a signal.

import { keepStylesheet } from "./stylesheet.ts";

interface Named {
  get(trait: "_anywidget_id"): string;
}

/** An anywidget module. `show` shows the widget in an element until the signal is aborted. */
export function defineWidget<Model>(show: (model: Model, el: HTMLElement, signal: AbortSignal) => void) {
  return {
    render({
      model,
      el,
      signal,
    }: {
      model: Model & Named;
      el: HTMLElement;
      signal?: AbortSignal;
    }): () => void {
      keepStylesheet(model.get("_anywidget_id"));
      const lifetime = new AbortController();
      // Beside other widgets in a row, take the room that they leave.
      el.style.flexGrow ||= "1";
      show(model, el, lifetime.signal);
      const end = () => {
        lifetime.abort();
        // JupyterLab keeps the elements of closed widgets for as long as the page.
        el.replaceChildren();
      };
      // Older hosts call the returned function instead.
      signal?.addEventListener("abort", end, { once: true });
      return end;
    },
  };
}

/** Shows one view at a time in an element. */
export class ViewSlot<View extends { root: HTMLElement }> {
  current: View | undefined;
  #lifetime = new AbortController();

  constructor(
    private readonly el: HTMLElement,
    signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => this.#lifetime.abort());
  }

  /** End the current view and put a new one in its place. */
  replace(create: (signal: AbortSignal) => View): View {
    const old = this.current;
    this.#lifetime.abort();
    this.#lifetime = new AbortController();
    const view = create(this.#lifetime.signal);
    if (old) old.root.replaceWith(view.root);
    else this.el.append(view.root);
    this.current = view;
    return view;
  }
}
