import { expect, test } from "vitest";
import { branchName, nameOf, nodeForKey, pathTo, preOrder, rowOf } from "../../src/view/branches.ts";
import type { BranchNode, SampleNode } from "../../src/view/model.ts";

const node = (id: number, parent: number, more: Partial<BranchNode> = {}): BranchNode => ({
  id,
  parent,
  position: id,
  place: 1,
  label: `l${id}`,
  instead: "x",
  logprob: Math.log(0.25),
  total: -1,
  tokens: 3,
  status: "ready",
  message: "",
  ...more,
});

// 0 ─ 1 ─ 3
//   └ 2
const nodes = [node(1, 0), node(2, 0), node(3, 1)];

test("a path leads from the original to a node", () => {
  expect(pathTo(nodes, 3).map((node) => node.id)).toEqual([1, 3]);
  expect(pathTo(nodes, 0)).toEqual([]);
});

test("each node comes before its children", () => {
  expect(preOrder(nodes)).toEqual([0, 1, 3, 2]);
});

test.each([
  [0, "ArrowDown", 1],
  [3, "ArrowDown", 2],
  [2, "ArrowDown", null],
  [2, "ArrowUp", 3],
  [0, "ArrowUp", null],
  [3, "ArrowLeft", 1],
  [1, "ArrowLeft", 0],
  [0, "ArrowLeft", null],
  [1, "ArrowRight", 3],
  [2, "ArrowRight", null],
  [3, "Home", 0],
  [0, "End", 2],
  [0, "x", null],
])("from %i, %s leads to %s", (from, key, to) => {
  expect(nodeForKey(nodes, from, key)).toBe(to);
});

test("a branch is named by its token and the token that it replaces", () => {
  expect(branchName(node(1, 0))).toBe("l1 (25 %) instead of x at token 2");
  expect(branchName(node(1, 0, { logprob: null }))).toBe("l1 instead of x at token 2");
  expect(branchName(node(1, 0, { instead: "l1" }))).toBe("l1 (25 %) again at token 2");
});

const row = (id: number, parent: number | null, shows: number | null): SampleNode => ({
  id,
  parent,
  shows,
  label: `r${id}`,
  is_text: true,
  note: "1 of 4",
  share: null,
  status: "ready",
  message: "",
});

// The beginning −1 ┬ the beginning −2 ┬ answer 0
//                  │                  └ answer 2 ─ branch 3
//                  └ answer 1
const rows = [
  row(-1, null, 0),
  row(-2, -1, 0),
  row(0, -2, 0),
  row(2, -2, 2),
  row(1, -1, 1),
  row(-4, -1, null),
];
const mixed = [...rows, node(3, 2)];

test("a tree of several answers begins with what they share, and has branches below their answers", () => {
  expect(preOrder(mixed)).toEqual([-1, -2, 0, 2, 3, 1, -4]);
});

test.each([
  [-1, "ArrowDown", -2],
  [-1, "ArrowUp", null],
  [-1, "ArrowLeft", null],
  [0, "ArrowLeft", -2],
  [2, "ArrowRight", 3],
  [3, "ArrowLeft", 2],
  [3, "Home", -1],
  [0, "End", -4],
])("among several answers, %s leads from %i to %s", (from, key, to) => {
  expect(nodeForKey(mixed, from, key)).toBe(to);
});

test("the row of an answer is the innermost one that shows it", () => {
  expect(rowOf(mixed, 0)).toBe(0);
  expect(rowOf(mixed.slice(0, 2), 0)).toBe(-2);
  expect(rowOf(mixed, 3)).toBe(3);
  expect(rowOf(nodes, 2)).toBe(2);
});

test("a row is named by its own text", () => {
  expect(nameOf(row(1, -1, 1))).toBe("r1");
  expect(nameOf(node(3, 2))).toBe("l3 (25 %) instead of x at token 4");
});
