"""Run the first notebook on the embedded model and print some results: ``make demo``.

``python examples/demo.py --refresh`` executes the notebooks in place, for a commit, and writes the state of their
widgets to docs/live, from which the documentation shows them live.
"""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from deluge_nb import LLMClient, SamplingParams, score_llm, to_html, to_text

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = ROOT / "build"
LIVE = ROOT / "docs" / "live"
NOTEBOOKS = sorted((HERE / "notebooks").glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"

QUESTION = "What is the capital of France?"
TEMPLATE = "Is this statement factually correct? {0}\n\nAnswer yes or no."
STATEMENTS = ["The Earth orbits the Sun.", "The Moon is made of cheese.", "Paris is in France."]


def execute(path: Path) -> Any:
    """Execute a notebook in a fresh kernel and return it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    quiet = ["--Application.log_level=40"]
    # Jupyter, too, starts a notebook in its own folder, where its data are.
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", extra_arguments=quiet, resources=resources).execute()
    return notebook


def without_widgets(notebook: Any) -> Any:
    """Remove the outputs that need a running kernel; the static outputs stay."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            output.get("data", {}).pop(WIDGET, None)
            output.get("metadata", {}).pop(WIDGET, None)
        # Progress bars differ from run to run.
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def widget_states(notebook: Any) -> dict[str, Any]:
    """Return the traits of the notebook's views and comparisons, in order, keyed by ``link``.

    The static outputs carry the same ``link``.
    """
    states = {}
    for model in notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {}).values():
        traits = {name: value for name, value in model["state"].items() if not name.startswith("_")}
        if "link" not in traits:
            continue
        packed = {
            buffer["path"][0]: base64.b64encode(gzip.compress(base64.b64decode(buffer["data"]), mtime=0)).decode()
            for buffer in model.get("buffers", [])
        }
        for name in ("layout", "tabbable", "tooltip", *packed):
            traits.pop(name, None)
        if "branching" in traits:  # Without a kernel no model can continue the text.
            traits["branching"] = None
        kind = "compare" if "alignment" in packed else "view"
        states[traits["link"]] = {"widget": kind, "traits": traits, "bytes": packed}
    return states


def refresh() -> None:
    """Execute the notebooks in place, and write the state of their widgets to docs/live."""
    LIVE.mkdir(exist_ok=True)
    for path in NOTEBOOKS:
        print(path.name)
        notebook = execute(path)
        text = json.dumps(widget_states(notebook), indent=1)
        (LIVE / f"{path.stem}.json").write_text(text + "\n", encoding="utf-8")
        nbformat.write(without_widgets(notebook), path)


def demo() -> None:
    """Print a completion and some scores, run the first notebook, and say where the results are."""
    BUILD.mkdir(exist_ok=True)
    color = sys.stdout.isatty()
    client = LLMClient(
        "local", sampling_params=SamplingParams(logprobs=True, top_logprobs=20, seed=9, max_new_tokens=40)
    )
    response = client.process_prompts_sync([QUESTION], show_progress=False)[0]
    print(f"\nThe embedded model, SmolLM2-135M, was asked: {QUESTION}\n")
    print(to_text(response, color=color))
    page = BUILD / "first_look.html"
    page.write_text(to_html(response, title=QUESTION, standalone=True), encoding="utf-8")

    print("\nP(yes) for three statements:\n")
    scores = score_llm(TEMPLATE, STATEMENTS, client, return_probabilities=True, show_progress=False)
    for statement, score in zip(STATEMENTS, scores, strict=True):
        print(f"  {'unknown' if score is None else f'{score:9.1%}'}  {statement}")
    print("\nThese numbers depend more on the template than on the facts: on such questions a model this small")
    print("is no better than chance. The notebook shows what it does know.")

    print(f"\nRunning {NOTEBOOKS[0].name} …", flush=True)
    notebook = BUILD / NOTEBOOKS[0].name
    nbformat.write(without_widgets(execute(NOTEBOOKS[0])), notebook)
    print(f"\nWrote {notebook.relative_to(ROOT)} and {page.relative_to(ROOT)}; open the page in a browser.")
    print("`make lab` opens the notebooks in JupyterLab, where every token shows its alternatives.")
    print("-" * min(80, shutil.get_terminal_size().columns))


if __name__ == "__main__":
    refresh() if "--refresh" in sys.argv[1:] else demo()
