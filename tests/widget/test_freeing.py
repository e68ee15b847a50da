"""Running a cell again frees the views of its last run, and no others, in a real kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.test_kernel import Kernel, Ran, running_kernel

pytestmark = pytest.mark.slow

ROWS = "[{'token': 'a', 'logprob': -0.1}]"
COUNT = """import gc, ipywidgets
gc.collect()
print(sum(isinstance(w, (LogprobView, LogprobCompare)) for w in ipywidgets.widgets.widget._instances.values()),
      sum(isinstance(o, (LogprobView, LogprobCompare)) for o in gc.get_objects()))"""
LAYOUTS = "print(sum(isinstance(w, Layout) for w in ipywidgets.widgets.widget._instances.values()))"
VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


@pytest.fixture
def kernel(shared: Kernel) -> Kernel:
    for cell in ("one", "two"):
        run(shared, cell, "from ipywidgets import *")
    shared.run("from ipywidgets import *\nWidget.close_all()\n%reset -f out")
    shared.run("from IPython.display import display\nview = box = out = views = None")
    return shared


def run(kernel: Kernel, cell: str, code: str) -> Ran:
    """Run a cell as notebooks do: with its id."""
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
    message = kernel.client.session.msg("execute_request", content, metadata={"cellId": cell})
    kernel.client.shell_channel.send(message)
    ran = kernel.finish(message["header"]["msg_id"])
    assert ran.status == "ok", ran.printed
    return ran


def live(kernel: Kernel) -> int:
    return int(kernel.run(COUNT).printed.split()[0])


@pytest.mark.parametrize(
    "code",
    [
        f"LogprobView({ROWS})",
        f"view = LogprobView({ROWS})\nview",
        f"display(LogprobView({ROWS}))",
        f"LogprobCompare({ROWS}, {ROWS})",
    ],
)
def test_a_cell_that_runs_again_leaves_one_view(kernel: Kernel, code: str) -> None:
    for _ in range(3):
        run(kernel, "one", code)
    assert live(kernel) == 1
    assert int(kernel.run(LAYOUTS).printed) == 1
    run(kernel, "one", "pass")
    assert live(kernel) == 0
    assert int(kernel.run(LAYOUTS).printed) == 0


def test_a_freed_view_that_nothing_refers_to_is_collected(kernel: Kernel) -> None:
    before = int(kernel.run(COUNT).printed.split()[1])
    for _ in range(3):
        run(kernel, "one", f"display(LogprobView({ROWS}))")
    assert int(kernel.run(COUNT).printed.split()[1]) == before + 1


@pytest.mark.parametrize("show", ["view", "HBox([view])", "display(view)"])
def test_a_freed_view_is_shown_again_with_its_state(kernel: Kernel, show: str) -> None:
    run(kernel, "one", f"view = LogprobView({ROWS})\nview")
    run(kernel, "one", "pass")
    kernel.run("view.selected = 0")
    ran = run(kernel, "two", show)
    assert any(VIEW in data for data in [*ran.displays, ran.value])
    state = kernel.run("print(view.selected, view.comm is not None, view.layout.comm is not None)")
    assert state.printed.split() == ["0", "True", "True"]


def test_a_layout_that_another_widget_has_too_stays(kernel: Kernel) -> None:
    run(kernel, "one", f"box = HBox([])\nview = LogprobView({ROWS})\nview.layout = box.layout\nview")
    run(kernel, "one", "pass")
    assert kernel.run("print(view.comm is None, box.layout.comm is not None)").printed.split() == ["True", "True"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f"view = LogprobView({ROWS})\nview", "view"),
        (f"view = LogprobView({ROWS})\nview", "box = HBox([view])\nbox"),
        (f"out = Output()\nview = LogprobView({ROWS})\nwith out: display(view)", "out"),
        (f"view = LogprobView({ROWS})\nview", f"get_ipython().run_cell({f'LogprobView({ROWS})'!r})\nview"),
    ],
    ids=["another cell", "a container", "an Output", "code that a cell runs"],
)
def test_a_view_that_is_still_shown_elsewhere_is_not_freed(kernel: Kernel, first: str, second: str) -> None:
    run(kernel, "one", first)
    run(kernel, "two", second)
    run(kernel, "one", "pass")
    assert kernel.run("print(view.comm is not None)").printed.strip() == "True"
