// @vitest-environment happy-dom
import { expect, test } from "vitest";
import { EventPicker } from "../../src/lab/event.ts";
import type { EventTraits } from "../../src/lab/model.ts";
import { Host } from "./host.ts";

const STATE: EventTraits = {
  kind: "event",
  link: "",
  texts: ["·heads", "<img src=x>", "everything else"],
  shares: ["60.5 %", "17.2 %", "22.3 %"],
  probabilities: [0.605, 0.172, 0.223],
  ticked: [],
};

function shown(state: Partial<EventTraits> = {}) {
  const host = new Host<EventTraits>({ ...STATE, ...state });
  const ended = new AbortController();
  const { root } = new EventPicker(host.model, ended.signal);
  document.body.replaceChildren(root);
  const boxes = [...root.querySelectorAll("input")];
  const status = root.querySelector("[role=status]") as HTMLElement;
  return { host, ended, root, boxes, status };
}

test("each outcome is a check box with its name and share, and text is never read as HTML", () => {
  const { root, boxes } = shown();
  expect([...root.querySelectorAll("label")].map((row) => row.textContent)).toEqual([
    "·heads 60.5 %",
    "<img src=x> 17.2 %",
    "everything else 22.3 %",
  ]);
  expect(boxes.every((box) => box.dataset["lmSuppressShortcuts"] === "true")).toBe(true);
});

test("the page adds up what is ticked, in the same region, and sends it to Python", () => {
  const { host, boxes, status } = shown();
  expect(status.textContent).toBe("P(event) = 0.000, P(not the event) = 1.000");
  boxes[2]?.click();
  boxes[0]?.click();
  expect(status.textContent).toBe("P(event) = 0.828, P(not the event) = 0.172");
  expect(host.get("ticked")).toEqual([0, 2]);
  expect(host.saved).toBe(2);
  boxes[2]?.click();
  expect(host.get("ticked")).toEqual([0]);
});

test("what Python ticks is ticked, and unknown outcomes are left out", () => {
  const { host, ended, boxes, status } = shown({ ticked: [1, 9] });
  expect(boxes.map((box) => box.checked)).toEqual([false, true, false]);
  host.set("ticked", [0, 1, 2]);
  expect(boxes.every((box) => box.checked)).toBe(true);
  expect(status.textContent).toBe("P(event) = 1.000, P(not the event) = 0.000");
  ended.abort();
  expect(host.listeners).toBe(0);
});
