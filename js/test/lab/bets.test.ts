// @vitest-environment happy-dom
import { beforeEach, expect, test, vi } from "vitest";
import { NO_KERNEL } from "../../src/host/kernel.ts";
import { Bets } from "../../src/lab/bets.ts";
import type { BetsTraits, Round } from "../../src/lab/model.ts";
import { Host } from "./host.ts";

const STATE: BetsTraits = {
  kind: "bets",
  link: "",
  total: 2,
  text: "He opened the door with a",
  options: ["poem", "key"],
  chips: 10,
  rounds: [],
  summary: "",
};
const ROUND: Round = {
  text: "He opened the door with a",
  options: ["poem", "key"],
  chips: [3, 7],
  shares: [0.02, 0.98],
  right: 1,
  paid: "0.51 bits",
  model_paid: "0.03 bits",
};

function shown(state: Partial<BetsTraits> = {}) {
  const host = new Host<BetsTraits>({ ...STATE, ...state });
  const ended = new AbortController();
  const { root } = new Bets(host.model, ended.signal);
  document.body.replaceChildren(root);
  const find = (selector: string) => root.querySelector(selector) as HTMLElement;
  const bet = find("button") as HTMLButtonElement;
  const place = (...chips: number[]) => {
    for (const [index, range] of root.querySelectorAll("input").entries()) {
      range.value = String(chips[index]);
      range.dispatchEvent(new Event("input"));
    }
  };
  return { host, ended, root, find, bet, place };
}

const answered = async (host: Host<BetsTraits>, state: Partial<BetsTraits>) => {
  for (const [name, value] of Object.entries(state)) host.set(name as keyof BetsTraits, value as never);
  await Promise.resolve();
};

beforeEach(() => {
  vi.useFakeTimers();
  return () => vi.useRealTimers();
});

test("each option has a slider of its name, and the sentence is open", () => {
  const { root, find } = shown();
  expect(find(".deluge-bets-question").textContent).toBe("1 of 2: He opened the door with a …");
  const ranges = [...root.querySelectorAll("input")];
  expect(ranges.map((range) => range.getAttribute("aria-label"))).toEqual(["poem", "key"]);
  expect(ranges.map((range) => range.max)).toEqual(["10", "10"]);
});

test.each([
  [[3, 4], "3 chips left", true],
  [[3, 6], "1 chip left", true],
  [[3, 7], "all chips placed", false],
  [[4, 7], "1 chip too many", true],
  [[10, 10], "10 chips too many", true],
])("with %j it says %s", (chips, text, disabled) => {
  const { find, bet, place } = shown();
  place(...chips);
  expect(find(".deluge-bets-left").textContent).toBe(text);
  expect(bet.disabled).toBe(disabled);
});

test("a bet is sent once, however often the button is pressed", () => {
  const { host, bet, place } = shown();
  place(3, 7);
  bet.click();
  bet.click();
  expect(host.sent).toEqual([{ bet: [3, 7] }]);
});

test("the answer opens the next sentence, keeps the round, and moves the focus", async () => {
  const { host, root, find, bet, place } = shown();
  place(3, 7);
  bet.focus();
  bet.click();
  await answered(host, {
    rounds: [ROUND],
    text: "Silk is made by",
    options: ["ants", "worms"],
    summary: "one played",
  });
  expect(find(".deluge-bets-question").textContent).toBe("2 of 2: Silk is made by …");
  expect(find(".deluge-bets-summary").textContent).toBe("one played");
  expect([...root.querySelectorAll("tbody tr > *")].map((cell) => cell.textContent)).toEqual([
    "He opened the door with a key",
    "70 %",
    "98 %",
    "0.51 bits",
    "0.03 bits",
  ]);
  expect(document.activeElement).toBe(root.querySelector("input"));
  place(5, 5);
  bet.click();
  expect(host.sent).toEqual([{ bet: [3, 7] }, { bet: [5, 5] }]);
});

test("the last round stands first, and after all of them nothing can be placed", () => {
  const { root, find } = shown({ rounds: [ROUND, { ...ROUND, text: "Second" }], options: [], text: "" });
  expect(find(".deluge-bets-question").textContent).toBe("All played.");
  expect(find(".deluge-bets-bar").hidden).toBe(true);
  expect([...root.querySelectorAll("tbody th")].map((cell) => cell.textContent)).toEqual([
    "Second key",
    "He opened the door with a key",
  ]);
});

test("a saved page of a game that has not ended says how far it went", () => {
  const { find } = shown({ rounds: [ROUND], options: [], text: "" });
  expect(find(".deluge-bets-question").textContent).toBe("1 of 2 played. Open the notebook to go on.");
  expect(find(".deluge-bets-bar").hidden).toBe(true);
});

test("text from Python is never read as HTML", () => {
  const text = "<img src=x onerror=steal()>";
  const { root } = shown({
    text,
    options: [text, "b"],
    rounds: [{ ...ROUND, text, options: [text, text] }],
    summary: text,
  });
  expect(root.querySelector("img")).toBeNull();
  expect(root.textContent).toContain(text);
});

test("a kernel that does not answer is reported, and the bet can be placed again", async () => {
  const { host, find, bet, place } = shown();
  place(3, 7);
  bet.click();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(find(".deluge-lab-note").textContent).toBe(NO_KERNEL);
  bet.click();
  expect(host.sent).toHaveLength(2);
});

test("nothing is left of a game that is removed", async () => {
  const { host, ended, find, bet, place } = shown();
  place(3, 7);
  bet.click();
  ended.abort();
  await vi.advanceTimersByTimeAsync(20_000);
  expect(find(".deluge-lab-note").textContent).toBe("");
  expect(host.listeners).toBe(0);
});
