// @vitest-environment happy-dom
import { expect, test } from "vitest";
import { IdleTask } from "../../src/ui/idle_tasks.ts";

const frames = async (many: number) => {
  for (let frame = 0; frame < many; frame++) {
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  }
};

/** Work that never ends, and says which it is in each of its slices. */
function* endless(): Generator<void> {
  for (;;) {
    const until = performance.now() + 4;
    while (performance.now() < until);
    yield;
  }
}

test("of work that is begun again and again only the latest goes on", async () => {
  const view = new AbortController();
  const chore = new IdleTask(view.signal);
  const went: number[] = [];
  for (let begun = 0; begun < 20; begun++) chore.start(endless(), () => went.push(begun));
  await frames(4);
  expect(went.length).toBeGreaterThan(0);
  expect(new Set(went)).toEqual(new Set([19]));
  view.abort();
});

test("no work goes on when its view has ended, nor is any begun", async () => {
  const view = new AbortController();
  const chore = new IdleTask(view.signal);
  const went: string[] = [];
  chore.start(endless(), () => went.push("before"));
  view.abort();
  chore.start(endless(), () => went.push("after"));
  await frames(3);
  expect(went).toEqual([]);
});
