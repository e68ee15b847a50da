// Bundles the widgets, their stylesheets and the scripts of saved pages into the Python package.
import { readFileSync, rmSync } from "node:fs";
import * as esbuild from "esbuild";

// Adds a class for each step of heat, as js/src/text/token_span.ts uses them. Elements with the same classes share their
// computed styles; elements with a style attribute each do not, and styling was most of the time to first paint.
const HEAT_STEPS = 64;
const heatClasses = {
  name: "heat-classes",
  setup(build) {
    build.onLoad({ filter: /view\.css$/ }, ({ path }) => {
      const rules = Array.from(
        { length: HEAT_STEPS + 1 },
        (_, step) => `.deluge-h${step}{--u:${step / HEAT_STEPS}}`,
      );
      return { contents: readFileSync(path, "utf8") + rules.join(""), loader: "css" };
    });
  },
};

// Members of our own classes whose names become shorter: two percent of each file. They are names of nothing else, neither
// of the browser nor of Python, which js/test/build.test.mjs checks.
const MEMBERS = `
  afterLayOut appearanceOf branchesHadFocus cardControls cellsOf cellsOn centerOf chunkSize classesOf
  clearSelection colorBy commonShare contentOf countDifferences deferAlternatives extendTo firstCell
  firstSpan firstToken foldedRows forgetBreaks goTo goToDifference goToMatch goToToken hangOf hasLayout
  hasLittleInCommon hasValidLayout idOf isAtEnd isClosed isCommon isCommonSpan isCut isInterleaved isLaidOut
  isMatch isMeasured isOpen keepButton knownEntropies knownLogprobs lastLine lastRow layOutMore layOutRest
  lineCount lineOf linesBefore minP moveByLines mustBreak nextDifference nextToken onBranch
  prefersInterleaved rangeIn receiveAlternatives receiveMeasures receiveTokens refreshCard refreshCards
  removeFrom renderAll renderVisible requestMeasures resetColors rowCells rowCount rowOf rowTokens scrollBox
  scrollToTop selectRange setInterleaved setLimits showDifferences showSummary showSurprises showTitle
  shownRows shownText sidesOn spanOf spokenRows textAt textIndex textOf textWidth toggleHelp
  toggleList togglePin tokenAt topK topOf topToken unitOf updateHeight
`;

const outdir = "../deluge_nb/static";
const options = {
  entryPoints: [
    { in: "src/entry/view.ts", out: "view" },
    { in: "src/view.css", out: "view" },
    { in: "src/entry/view_page.ts", out: "page" },
    { in: "src/entry/compare.ts", out: "compare" },
    { in: "src/compare.css", out: "compare" },
    { in: "src/entry/compare_page.ts", out: "compare_page" },
    { in: "src/entry/lab.ts", out: "lab" },
    { in: "src/lab.css", out: "lab" },
    { in: "src/entry/lab_page.ts", out: "lab_page" },
    { in: "src/entry/comparisons.ts", out: "comparisons" },
    { in: "src/comparisons.css", out: "comparisons" },
    { in: "src/entry/comparisons_page.ts", out: "comparisons_page" },
  ],
  outdir,
  bundle: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  mangleProps: new RegExp(`^(?:${MEMBERS.trim().split(/\s+/).join("|")})$`),
  legalComments: "inline",
  plugins: [heatClasses],
  logLevel: "warning",
};

// The stamp says from which sources the bundle was built. hatch_build.py writes it after this script has succeeded.
rmSync(`${outdir}/sources.sha256`, { force: true });
if (process.argv.includes("--watch")) {
  const context = await esbuild.context({ ...options, minify: false, sourcemap: "inline" });
  await context.watch();
} else {
  await esbuild.build(options);
}
