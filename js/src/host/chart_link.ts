// The view's end of a link with charts; the other end is deluge_nb/charts/chart_link.py.
// Both meet at the page's body, which any number of charts can hear and which is there before all of them.

export interface Picked {
  link: string;
  /** The chosen range, its end excluded; and the selected token. */
  from?: number;
  to?: number;
  token?: number;
  /** Sent by charts: select this token. */
  go?: number;
}

type Bus = HTMLElement & { value?: Picked | null };

export class Link {
  private told = "";

  constructor(
    private readonly name: string,
    heed: (picked: Picked) => void,
    signal: AbortSignal,
  ) {
    if (!name) return;
    document.body.addEventListener(
      this.event,
      () => {
        const { value } = document.body as Bus;
        // A chart where nothing is chosen any more has no value to say so with.
        const picked = value?.link === name ? value : { link: name };
        if (JSON.stringify(picked) === this.told) return;
        heed(picked);
      },
      { signal },
    );
  }

  tell(range: [number, number] | null, token: number | null): void {
    const picked: Picked = { link: this.name };
    if (range) [picked.from, picked.to] = range;
    if (token !== null) picked.token = token;
    const text = JSON.stringify(picked);
    if (!this.name || text === this.told) return;
    this.told = text;
    (document.body as Bus).value = picked;
    document.body.dispatchEvent(new Event(this.event));
  }

  private get event(): string {
    return `deluge-${this.name}`;
  }
}
