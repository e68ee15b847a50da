// Bundle src/index.ts, and the stylesheet it imports, into the Python package.
import { rmSync } from "node:fs";
import * as esbuild from "esbuild";

const outdir = "../deluge_nb/static";
const options = {
  entryPoints: { view: "src/index.ts" },
  outdir,
  bundle: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  legalComments: "inline",
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
