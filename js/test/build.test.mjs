import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (pattern) => globSync(pattern).map((path) => readFileSync(path, "utf8"));
const members = (read("build.mjs")[0]?.match(/MEMBERS = `([^`]*)`/)?.[1] ?? "").trim().split(/\s+/);

test("names that are shortened are names of nothing that the browser or Python knows", () => {
  const libraries = read("node_modules/@typescript/*/lib/lib.{dom,es*}.d.ts").join("\n");
  const python = read("../deluge_nb/**/*.py").join("\n");
  const own = read("src/**/*.ts").join("\n");
  expect(libraries).toContain("textContent");
  expect(members.length).toBeGreaterThan(50);
  const known = new Set(libraries.match(/\w+/g));
  const quoted = new Set(`${python}\n${own}`.match(/(?<=["'`])\w+(?=["'`])/g));
  expect(members.filter((name) => known.has(name) || quoted.has(name))).toEqual([]);
  const used = new Set(own.match(/\w+/g));
  expect(members.filter((name) => !used.has(name))).toEqual([]);
});
