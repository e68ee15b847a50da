"""What `make demo` runs: the first notebook on the embedded model, and its findings in the terminal.

With ``--refresh`` the notebooks are executed in place, as they are committed.
"""

from __future__ import annotations

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
NOTEBOOKS = sorted((HERE / "notebooks").glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"

QUESTION = "What is the capital of France?"
TEMPLATE = "Is this statement factually correct? {0}\n\nAnswer yes or no."
STATEMENTS = ["The Earth orbits the Sun.", "The Moon is made of cheese.", "Paris is in France."]


def executed(path: Path) -> Any:
    """A notebook with the outputs of a fresh kernel."""
    notebook = nbformat.read(path, as_version=4)
    quiet = ["--Application.log_level=40"]
    NotebookClient(notebook, timeout=600, kernel_name="python3", extra_arguments=quiet).execute()
    return notebook


def for_readers(notebook: Any) -> Any:
    """The notebook without what only a live kernel can show: a reader gets the static forms instead."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            output.get("data", {}).pop(WIDGET, None)
            output.get("metadata", {}).pop(WIDGET, None)
        # Progress belongs to the day it was made.
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def refresh() -> None:
    """Execute the notebooks in place."""
    for path in NOTEBOOKS:
        print(path.name)
        nbformat.write(for_readers(executed(path)), path)


def demo() -> None:
    """Show what the package does, and say where to find more of it."""
    BUILD.mkdir(exist_ok=True)
    color = sys.stdout.isatty()
    client = LLMClient(
        "local", sampling_params=SamplingParams(logprobs=True, top_logprobs=20, seed=9, max_new_tokens=40)
    )
    response = client.process_prompts_sync([QUESTION], show_progress=False)[0]
    print(f"\nSmolLM2-135M, a toy model on this machine, was asked: {QUESTION}\n")
    print(to_text(response, color=color))
    page = BUILD / "first_look.html"
    page.write_text(to_html(response, title=QUESTION, standalone=True), encoding="utf-8")

    print("\nP(yes) for three statements, by the documented recipe:\n")
    for statement, score in zip(
        STATEMENTS, score_llm(TEMPLATE, STATEMENTS, client, True, show_progress=False), strict=True
    ):
        print(f"  {'undecided' if score is None else f'{score:9.1%}'}  {statement}")
    print("\nThe numbers say more about the template than about the world: a model this small answers such")
    print("questions at chance. The notebook shows what it does know.")

    print(f"\nRunning {NOTEBOOKS[0].name} …", flush=True)
    notebook = BUILD / NOTEBOOKS[0].name
    nbformat.write(for_readers(executed(NOTEBOOKS[0])), notebook)
    print(f"\nWritten: {notebook.relative_to(ROOT)} and {page.relative_to(ROOT)} (open it in a browser).")
    print("`make lab` opens the notebooks in JupyterLab, where the tokens can be pointed at.")
    print("-" * min(80, shutil.get_terminal_size().columns))


if __name__ == "__main__":
    refresh() if "--refresh" in sys.argv[1:] else demo()
