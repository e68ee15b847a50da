// @vitest-environment happy-dom

import { expect, test } from "vitest";
import { defineWidget } from "../../src/host/widget.ts";

test("a widget that ends leaves its element empty, as some hosts keep it", () => {
  const el = document.createElement("div");
  const widget = defineWidget((_model: object, shown) => shown.append("text"));
  const end = widget.render({ model: {}, el });
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
  }).render({ model: {}, el, signal: host.signal });
  host.abort();
  expect(lifetime?.aborted).toBe(true);
  expect(el.childNodes.length).toBe(0);
});
