// @vitest-environment happy-dom
import { expect, test } from "vitest";
import { IdleTask } from "../../src/ui/idle_tasks.ts";

const frames = async (count: number) => {
  for (let frame = 0; frame < count; frame++) {
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  }
};

/** Work that never ends. */
function* endless(): Generator<void> {
  for (;;) {
    const end = performance.now() + 4;
    while (performance.now() < end);
    yield;
  }
}

test("only the latest of several starts continues", async () => {
  const view = new AbortController();
  const task = new IdleTask(view.signal);
  const slices: number[] = [];
  for (let start = 0; start < 20; start++) task.start(endless(), () => slices.push(start));
  await frames(4);
  expect(slices.length).toBeGreaterThan(0);
  expect(new Set(slices)).toEqual(new Set([19]));
  view.abort();
});

test("no work continues or starts after its signal is aborted", async () => {
  const view = new AbortController();
  const task = new IdleTask(view.signal);
  const slices: string[] = [];
  task.start(endless(), () => slices.push("before"));
  view.abort();
  task.start(endless(), () => slices.push("after"));
  await frames(3);
  expect(slices).toEqual([]);
});
