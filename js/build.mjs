// Bundle the widgets, their stylesheets and the page that needs no host into the Python package.
import { readFileSync, rmSync } from "node:fs";
import * as esbuild from "esbuild";

// A class for each step of heat (js/src/text/line_renderer.ts): elements that have their classes in common share their styles, which
// those with a number of their own cannot, and styling was most of the time to a first paint.
const STEPS = 64;
const heats = {
  name: "heats",
  setup(build) {
    build.onLoad({ filter: /view\.css$/ }, ({ path }) => {
      const rules = Array.from({ length: STEPS + 1 }, (_, step) => `.deluge-h${step}{--u:${step / STEPS}}`);
      return { contents: readFileSync(path, "utf8") + rules.join(""), loader: "css" };
    });
  },
};

const outdir = "../deluge_nb/static";
const options = {
  entryPoints: [
    { in: "src/entry/view.ts", out: "view" },
    { in: "src/view.css", out: "view" },
    { in: "src/entry/view_page.ts", out: "page" },
    { in: "src/entry/compare.ts", out: "compare" },
    { in: "src/compare.css", out: "compare" },
    { in: "src/entry/compare_page.ts", out: "compare_page" },
  ],
  outdir,
  bundle: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  legalComments: "inline",
  plugins: [heats],
  logLevel: "warning",
};

// The stamp is written again by whoever knows what the bundle was made from.
rmSync(`${outdir}/sources.sha256`, { force: true });
if (process.argv.includes("--watch")) {
  const context = await esbuild.context({ ...options, minify: false, sourcemap: "inline" });
  await context.watch();
} else {
  await esbuild.build(options);
}
