// A completion's tokens, coloured by how sure the model was. Knows of its host only a model with traits.

import type { AnyModel } from "@anywidget/types";
import { Card } from "./card.ts";
import { Alternatives, type ColorBy, readTokens } from "./columns.ts";
import { copiedText } from "./copy.ts";
import { element } from "./dom.ts";
import { actionOf, moved } from "./keyboard.ts";
import { fragmentOf, Layout, lineOf } from "./layout.ts";
import { Legend } from "./legend.ts";
import { TokenLines } from "./tokens.ts";
import "./view.css";

interface State {
  data: DataView;
  alternatives: DataView;
  selected: number | null;
  color_by: ColorBy;
  title: string;
}

let views = 0;

/** Draw the tokens as they are now; all of it goes when the signal says so. */
function draw(
  model: AnyModel<State>,
  own: AbortSignal,
): { root: HTMLElement; box: HTMLElement; arrange(): void } {
  const name = `deluge-${++views}`;
  const tokens = readTokens(model.get("data"));
  const asked = new Set<number>();
  const alternatives = new Alternatives(tokens, model.get("alternatives"), (chunk) => {
    if (!asked.has(chunk)) model.send({ chunk });
    asked.add(chunk);
  });

  const root = element("section", "deluge");
  const title = element("div", "deluge-title");
  const box = element("div", "deluge-box");
  // Jupyter takes keys before the page does, unless what has the focus asks it not to.
  box.dataset["lmSuppressShortcuts"] = "true";
  box.tabIndex = 0;
  box.setAttribute("role", "listbox");
  box.setAttribute("aria-label", "Tokens of the completion");
  const sheet = element("div", "deluge-sheet");
  sheet.setAttribute("role", "none");
  const ruler = element("span", "deluge-token deluge-ruler", "x");
  ruler.setAttribute("aria-hidden", "true");
  const spoken = element("div", "deluge-spoken");
  spoken.setAttribute("role", "status");
  const card = new Card(tokens);
  let sum = 0;
  let known = 0;
  for (const logprob of tokens.logprob) {
    if (!Number.isNaN(logprob)) {
      sum += logprob;
      known++;
    }
  }
  const summary = [`${tokens.count} ${tokens.count === 1 ? "token" : "tokens"}`];
  if (known) summary.push(`perplexity ${Math.exp(-sum / known).toPrecision(3)}`);
  const legend = new Legend(
    tokens.scales,
    summary.join(" · "),
    (colorBy) => {
      model.set("color_by", colorBy);
      model.save_changes();
    },
    own,
  );
  box.append(sheet);
  root.append(title, legend.root, box, ruler, card.root, spoken);

  let canvas: CanvasRenderingContext2D | null = null;
  const measure = (text: string): number => {
    if (!canvas) {
      canvas = document.createElement("canvas").getContext("2d");
      if (canvas) {
        const style = getComputedStyle(ruler);
        canvas.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      }
    }
    return canvas ? canvas.measureText(text).width : text.length * 8;
  };
  const lineHeight = () => ruler.getBoundingClientRect().height || 24;
  const layout = new Layout(tokens, measure);
  const lines = new TokenLines(box, sheet, tokens, layout, lineHeight, (token) => `${name}-${token}`);

  const anchor = (token: number) => lines.find(token);
  const showCard = (token: number) => {
    const at = anchor(token);
    if (at) card.show(token, alternatives.of(token), at);
  };
  // Some hosts put views in shadow trees, which have a focus and a geometry of their own.
  const tree = () => box.getRootNode() as Document | ShadowRoot;
  /** Keep the card by its token when something scrolls; away with it when the token is out of sight. */
  const followToken = () => {
    const token = card.token;
    if (token === null) return;
    const at = anchor(token)?.getBoundingClientRect();
    const seen = at && tree().elementFromPoint((at.left + at.right) / 2, (at.top + at.bottom) / 2);
    if (seen && box.contains(seen)) showCard(token);
    else card.hide();
  };
  const selected = () => model.get("selected") ?? null;
  const select = (token: number | null) => {
    if (token === selected()) return;
    model.set("selected", token);
    model.save_changes();
  };
  const paintSelected = () => {
    const token = selected();
    lines.select(token);
    if (token === null) {
      box.removeAttribute("aria-activedescendant");
      card.hide();
      return;
    }
    lines.reveal(token);
    box.setAttribute("aria-activedescendant", `${name}-${token}`);
    if (card.token !== null) showCard(token);
  };
  const paintColor = () => {
    const colorBy = model.get("color_by");
    root.dataset["color"] = colorBy;
    legend.show(colorBy);
  };
  const paintTitle = () => {
    const text = model.get("title");
    title.textContent = text;
    title.hidden = !text;
    root.setAttribute("aria-label", text || "Tokens coloured by probability");
  };
  const tokenAt = (event: Event): number | null => {
    const span = (event.target as Element | null)?.closest?.<HTMLElement>("[data-token]");
    return span ? Number(span.dataset["token"]) : null;
  };

  let width = -1;
  const arrange = () => {
    const wide = sheet.clientWidth;
    if (wide === width || wide === 0) return;
    // What was at the top stays there, or a selection that was waiting for a width comes into sight.
    const first = width < 0;
    const top = first ? null : lines.top();
    width = wide;
    layout.fit(wide);
    lines.redraw();
    if (top !== null) lines.scrollTo(top);
    else if (first) paintSelected();
  };

  // Where up and down aim at, so that going back leads back.
  let column: number | null = null;
  const go = (token: number, keep: number | null = null) => {
    column = keep;
    select(token);
    lines.reveal(token);
    showCard(token);
    spoken.textContent = card.spoken(token, alternatives.of(token));
  };

  // One set of listeners for any number of tokens; all of them go with the view.
  box.addEventListener(
    "pointerover",
    (event) => {
      const token = tokenAt(event);
      if (token !== null) showCard(token);
    },
    { signal: own },
  );
  box.addEventListener(
    "pointerleave",
    () => {
      const token = selected();
      if (tree().activeElement === box && token !== null) showCard(token);
      else card.hide();
    },
    { signal: own },
  );
  box.addEventListener(
    "click",
    (event) => {
      const token = tokenAt(event);
      if (token === null || !(window.getSelection()?.isCollapsed ?? true)) return;
      go(token);
    },
    { signal: own },
  );
  box.addEventListener(
    "scroll",
    () => {
      lines.show();
      followToken();
    },
    { signal: own, passive: true },
  );
  box.addEventListener("blur", () => card.hide(), { signal: own });
  box.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !tokens.count) return;
      const action = actionOf(event.key, tokens.count);
      if (!action) return;
      // The notebook would take them for its own commands.
      event.preventDefault();
      event.stopPropagation();
      const from = selected();
      if (action.kind === "escape") {
        card.hide();
        select(null);
      } else if (action.kind === "card") go(from ?? 0);
      else if (action.kind === "to") go(action.token);
      else if (action.kind === "token" || from === null) go(moved(from, action.by, tokens.count));
      else {
        const at = fragmentOf(tokens.owner, from);
        const line = moved(lineOf(layout.starts, at), action.by, layout.lines);
        const aim = column ?? layout.middle(at);
        go(tokens.owner[layout.at(line, aim)] ?? from, aim);
      }
    },
    { signal: own },
  );
  root.addEventListener(
    "copy",
    (event) => {
      const selection = window.getSelection();
      const text = selection && copiedText(selection, tokens);
      if (text === null || !event.clipboardData) return;
      event.clipboardData.setData("text/plain", text);
      event.preventDefault();
    },
    { signal: own },
  );
  window.addEventListener("scroll", followToken, { signal: own, capture: true, passive: true });

  const received = (content: { chunk?: number }, buffers: DataView[]) => {
    const block = buffers[0];
    if (content.chunk === undefined || !block) return;
    alternatives.receive(content.chunk, block);
    if (card.token !== null) showCard(card.token);
  };
  model.on("change:selected", paintSelected);
  model.on("change:color_by", paintColor);
  model.on("change:title", paintTitle);
  model.on("msg:custom", received);
  const watching = new ResizeObserver(arrange);
  watching.observe(sheet);
  own.addEventListener("abort", () => {
    watching.disconnect();
    card.hide();
    model.off("change:selected", paintSelected);
    model.off("change:color_by", paintColor);
    model.off("change:title", paintTitle);
    model.off("msg:custom", received);
  });

  paintTitle();
  paintColor();
  return {
    root,
    box,
    arrange: () => {
      arrange();
      if (width < 0) paintSelected();
    },
  };
}

function render({ model, el, signal }: { model: AnyModel<State>; el: HTMLElement; signal?: AbortSignal }) {
  let drawing = new AbortController();
  let drawn: ReturnType<typeof draw> | undefined;
  const redraw = () => {
    const old = drawn;
    const at = old?.box.scrollTop ?? 0;
    // Whoever reads the end goes on reading it as more comes.
    const atEnd = old !== undefined && at > 0 && at + old.box.clientHeight >= old.box.scrollHeight - 2;
    const focused =
      old !== undefined && (old.box.getRootNode() as Document | ShadowRoot).activeElement === old.box;
    drawing.abort();
    drawing = new AbortController();
    drawn = draw(model, drawing.signal);
    if (old) old.root.replaceWith(drawn.root);
    else el.append(drawn.root);
    drawn.arrange();
    if (old) drawn.box.scrollTop = atEnd ? drawn.box.scrollHeight : at;
    if (focused) drawn.box.focus({ preventScroll: true });
  };
  redraw();
  model.on("change:data", redraw);
  const end = () => {
    model.off("change:data", redraw);
    drawing.abort();
  };
  signal?.addEventListener("abort", end, { once: true });
  return end;
}

export default { render };
