import { expect, test } from "vitest";
import { branchName, nodeForKey, pathTo, preOrder } from "../../src/view/branches.ts";
import type { BranchNode } from "../../src/view/model.ts";

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
