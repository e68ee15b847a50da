"""Run the benchmarks named on the command line, or all of them."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

MODULES = {
    "imports": "imports",
    "tokens": "local.tokens",
    "given": "local.given",
    "paint": "widget.paint",
    "parse": "dialects.parse",
    "columns": "local.columns",
    "calls": "client.calls",
    "client": "client.batches",
    "rows": "client.rows",
    "jobs": "jobs.rows",
    "jobs-dask": "jobs.on_dask",
    "stats": "stats.functions",
    "coverage": "stats.coverage",
    "widget": "widget.view",
}


def main() -> None:
    """Print the figures and write them to a file; exit with 1 if a bar was missed."""
    build = Path(__file__).resolve().parent.parent / "build"
    build.mkdir(exist_ok=True)
    results = {}
    for name in sys.argv[1:] or MODULES:
        if name not in MODULES:
            sys.exit(f"There is no benchmark {name!r}; there are {', '.join(MODULES)}.")
        results[name] = importlib.import_module(f"benchmarks.{MODULES[name]}").measure(build)
        print(json.dumps({name: results[name]}, indent=2), flush=True)
    (build / "benchmarks.json").write_text(json.dumps(results, indent=2) + "\n")
    missed = [name for name, figures in results.items() if not figures["passed"]]
    if missed:
        sys.exit(f"Missed: {', '.join(missed)}.")


if __name__ == "__main__":
    main()
