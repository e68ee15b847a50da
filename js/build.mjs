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
  addToRow afterLayOut announce appearanceOf appearances asides beforeOn beside cardControls cards
  cellsOf cellsOn centerOf chunkSize classesOf clearSelection colorBy colorsOf commonShare contentOf
  countDifferences deferAlternatives expectedLines extendTo firstCell firstRow firstSpan firstToken foldedRows
  forgetBreaks frameTokens frameUnits goTo goToDifference goToMatch goToOtherSide goToToken hangOf hasLayout
  hasLittleInCommon hasValidLayout idOf invalidate isAtEnd isClosed isCommon isCommonSpan isCut isInterleaved
  isLaidOut isMatch isMeasured isOpen isSplit isWrapped keepButton knownEntropies knownLogprobs lastLine
  lastRow layOut layOutMore layOutRest layouts lineCount lineOf linesBefore linesOf minP moveByLines
  moveByTokens mustBreak nextDifference nextToken onBranch onLimits panel prefersInterleaved rangeIn rangeTo
  rangesOf receiveAlternatives receiveMeasures receiveTokens redrawFrom refreshCard refreshCards removeFrom
  renderAll renderVisible repaint requestMeasures resetColors restoreState rowCells rowCount rowOf rowTokens
  saveState scrollBox scrollToTop selectBetween selectRange setColorBy setInterleaved setLimits setMeasure
  setSelected setSelection setSpan showDifferences showFor showNote showSummary showSurprises showTitle
  showTools shownRows shownText sidesOn silence spanOf spanWith spokenRows startRow surprises textAt
  textHadFocus textIndex textOf textWidth toggleHelp toggleList togglePin tokenAt topK topOf topToken unitOf
  updateHeight visibleTokens visibleUnits
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
  inject: ["src/host/short_names.js"],
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
