import { expect, test } from "vitest";
import { unpack } from "../../src/data/codec.ts";
import { NO_SAMPLER } from "../../src/data/cuts.ts";
import { Store } from "../../src/data/store.ts";
import { CardContent } from "../../src/ui/card_content.ts";
import { alternatives, tokens } from "../blocks.ts";

test("probabilities that add up to more than 1 are shown as listed, and divided by their sum where one is drawn", () => {
  const store = new Store(() => expect.unreachable(), tokens(["x", "y"]));
  const listed = alternatives(0, [
    [
      [0, Math.log(0.7)],
      [1, Math.log(0.6)],
    ],
    [],
  ]);
  store.receiveAlternatives(unpack(listed));
  const content = (sampler = NO_SAMPLER) => new CardContent(store, 0, store.alternatives(0), sampler);
  const shown = (part: "model" | "bounds", { rows }: CardContent) =>
    rows.map((row) => row[part].map((bound) => Number(bound.toFixed(3))));
  expect(shown("model", content())).toEqual([
    [0.7, 0.7],
    [0.6, 0.6],
    [0, 0],
  ]);
  expect(shown("bounds", content())).toEqual(shown("model", content()));
  const drawn = content({ ...NO_SAMPLER, topK: 2 });
  expect(shown("model", drawn)).toEqual(shown("model", content()));
  expect(shown("bounds", drawn).slice(0, 2)).toEqual([
    [0.538, 0.538],
    [0.462, 0.462],
  ]);
});

test("alternatives are shown from the likeliest on, whatever the order of the server, and unknown ones last", () => {
  const store = new Store(() => expect.unreachable(), tokens(["x", "y", "z", "w"]));
  const listed = alternatives(0, [
    [
      [0, Math.log(0.1)],
      [1, Number.NaN],
      [2, Math.log(0.6)],
      [3, Math.log(0.2)],
    ],
    [],
    [],
    [],
  ]);
  store.receiveAlternatives(unpack(listed));
  const { rows } = new CardContent(store, 0, store.alternatives(0), { ...NO_SAMPLER, topK: 2 });
  expect(rows.map(({ label, rank, index, isCut }) => [label, rank, index, isCut]).slice(0, 4)).toEqual([
    ["z", "1", 2, false],
    ["w", "2", 3, false],
    ["x", "3", 0, true],
    ["y", "", 1, false],
  ]);
});
