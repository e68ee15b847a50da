// @vitest-environment happy-dom

import { expect, test } from "vitest";
import { defineWidget } from "../../src/host/widget.ts";

const model = { get: () => "pkg.Widget" };

test("a widget that ends leaves its element empty, as some hosts keep it", () => {
  const el = document.createElement("div");
  const widget = defineWidget((_model: object, shown) => shown.append("text"));
  const end = widget.render({ model, el });
  expect(el.textContent).toBe("text");
  end();
  expect(el.childNodes.length).toBe(0);
});

test("a widget ends with the signal of its host", () => {
  const el = document.createElement("div");
  const host = new AbortController();
  let lifetime: AbortSignal | undefined;
  defineWidget((_model: object, shown, signal) => {
    lifetime = signal;
    shown.append("text");
  }).render({ model, el, signal: host.signal });
  host.abort();
  expect(lifetime?.aborted).toBe(true);
  expect(el.childNodes.length).toBe(0);
});

test("a stylesheet that the host writes again for each widget stays as it is, and another one replaces it", () => {
  document.head.innerHTML = "<style id='pkg.Widget'>b{color:red}</style>";
  const style = document.head.firstElementChild as HTMLStyleElement;
  const [text] = style.childNodes;
  const widget = defineWidget(() => {});
  for (let count = 0; count < 2; count++) widget.render({ model, el: document.createElement("div") });
  style.textContent = "b{color:red}";
  expect([...style.childNodes]).toEqual([text]);
  style.textContent = "b>i{color:green}";
  expect(style.textContent).toBe("b>i{color:green}");
  expect(style.firstChild).not.toBe(text);
});
