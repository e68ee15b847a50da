// @vitest-environment happy-dom
import { beforeEach, expect, test, vi } from "vitest";
import { NO_KERNEL } from "../../src/host/kernel.ts";
import { Dial } from "../../src/lab/dial.ts";
import type { DialTraits } from "../../src/lab/model.ts";
import { Host } from "./host.ts";

const picture = (text: string) => ({
  svg: `<svg xmlns="http://www.w3.org/2000/svg"><text>${text}</text></svg>`,
  text,
});
const STATE: DialTraits = {
  kind: "dial",
  link: "",
  label: "temperature",
  steps: [0.5, 1, 1.5],
  texts: ["0.5", "1.0", "1.5"],
  position: 1,
  frames: [picture("cold"), picture("as it is"), picture("hot")],
  picture: { svg: "", text: "" },
  drawn: -1,
};

function shown(state: Partial<DialTraits> = {}) {
  const host = new Host<DialTraits>({ ...STATE, ...state });
  const ended = new AbortController();
  const { root } = new Dial(host.model, ended.signal);
  const [less, more] = root.querySelectorAll("button") as unknown as [HTMLButtonElement, HTMLButtonElement];
  const slider = root.querySelector("input") as HTMLInputElement;
  const chart = root.querySelector(".deluge-dial-picture") as HTMLElement;
  const note = root.querySelector(".deluge-lab-note") as HTMLElement;
  return { host, ended, root, less, more, slider, chart, note };
}

beforeEach(() => {
  vi.useFakeTimers();
  return () => vi.useRealTimers();
});

test("the slider has a name, a value in words, and the chart of its step", () => {
  const { root, slider, chart } = shown();
  expect(slider.closest("label")?.textContent).toBe("temperature");
  expect([slider.min, slider.max, slider.value]).toEqual(["0", "2", "1"]);
  expect(slider.getAttribute("aria-valuetext")).toBe("1.0");
  expect(root.querySelector("output")?.textContent).toBe("1.0");
  expect(chart.textContent).toBe("as it is");
  expect(chart.getAttribute("aria-label")).toBe("as it is");
  expect(root.querySelector(".deluge-dial-spoken")?.textContent).toBe("as it is");
});

test("charts that were drawn beforehand follow at once, and Python is informed", () => {
  const { host, chart, slider } = shown();
  slider.value = "2";
  slider.dispatchEvent(new Event("input"));
  expect(chart.textContent).toBe("hot");
  expect(host.get("position")).toBe(2);
  expect(host.saved).toBe(1);
});

test("the buttons walk by one step, and end with the steps", () => {
  const { host, less, more } = shown();
  more.click();
  expect([host.get("position"), less.disabled, more.disabled]).toEqual([2, false, true]);
  less.click();
  less.click();
  expect([host.get("position"), less.disabled, more.disabled]).toEqual([0, true, false]);
});

test("a step that Python sets is shown", () => {
  const { host, slider, chart } = shown();
  host.set("position", 0);
  expect([slider.value, chart.textContent]).toEqual(["0", "cold"]);
  expect(host.saved).toBe(0);
});

test("without a chart there is none to see", () => {
  expect(shown({ frames: [] }).chart.hidden).toBe(true);
  expect(shown({ frames: [], picture: { svg: "<p>no picture</p>", text: "" } }).chart.hidden).toBe(true);
});

test("while Python draws a chart, only the last of further steps is sent", () => {
  const { host, chart, less, more } = shown({ frames: [] });
  more.click();
  less.click();
  less.click();
  expect(host.saved).toBe(1);
  host.set("picture", picture("hot"));
  host.set("drawn", 2);
  expect([host.saved, host.get("position")]).toEqual([2, 0]);
  host.set("picture", picture("cold"));
  host.set("drawn", 0);
  expect(host.saved).toBe(2);
  expect(chart.textContent).toBe("cold");
});

test("a kernel that draws nothing is reported, and the next step is sent again", () => {
  const { host, more, less, note } = shown({ frames: [] });
  more.click();
  vi.advanceTimersByTime(9_999);
  expect(note.textContent).toBe("");
  vi.advanceTimersByTime(1);
  expect(note.textContent).toBe(NO_KERNEL);
  less.click();
  expect(host.saved).toBe(2);
  host.set("drawn", 1);
  expect(note.textContent).toBe("");
});

test("nothing is left of a dial that is removed", () => {
  const { host, ended, more, note } = shown({ frames: [] });
  more.click();
  ended.abort();
  vi.advanceTimersByTime(20_000);
  expect(note.textContent).toBe("");
  expect(host.listeners).toBe(0);
});
