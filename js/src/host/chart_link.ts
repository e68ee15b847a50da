// The view's end of the link between a view and its charts. The charts' end is deluge_nb/charts/chart_link.py.
// Messages pass through the body of the page: it exists before all views and charts, and any number of them can listen.

/** The selection in a view or in one of its charts. */
export interface LinkMessage {
  link: string;
  /** The selected range, `to` excluded, and the selected token. */
  from?: number;
  to?: number;
  token?: number;
  /** Sent by charts only: select this token. */
  go?: number;
}

type MessageBoard = HTMLElement & { value?: LinkMessage | null };

export class ChartLink {
  /** The last message of this view, as JSON: the view must not react to it. */
  #lastSent = "";

  constructor(
    private readonly name: string,
    onMessage: (message: LinkMessage) => void,
    signal: AbortSignal,
  ) {
    if (!name) return;
    document.body.addEventListener(
      this.#eventName,
      () => {
        const { value } = document.body as MessageBoard;
        // A chart sends no value when its selection is cleared.
        const message = value?.link === name ? value : { link: name };
        if (JSON.stringify(message) === this.#lastSent) return;
        onMessage(message);
      },
      { signal },
    );
  }

  /** Tell the charts what is selected in the view. */
  send(range: [number, number] | null, token: number | null): void {
    const message: LinkMessage = { link: this.name };
    if (range) [message.from, message.to] = range;
    if (token !== null) message.token = token;
    const json = JSON.stringify(message);
    if (!this.name || json === this.#lastSent) return;
    this.#lastSent = json;
    (document.body as MessageBoard).value = message;
    document.body.dispatchEvent(new Event(this.#eventName));
  }

  get #eventName(): string {
    return `deluge-${this.name}`;
  }
}
