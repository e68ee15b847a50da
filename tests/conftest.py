"""What several tests need."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import settings

from deluge_nb.client import credentials
from deluge_nb.models import REGISTRY, endpoints
from tests import openai_server
from tests.openai_server import ChatServer

# What takes how long is for benchmarks; a busy machine fails no test. Where a change is judged, the examples are the
# same every time; elsewhere they are new ones, and with --hypothesis-profile=thorough very many.
settings.register_profile("untimed", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.register_profile("thorough", deadline=None, max_examples=3000)
# For `make check` and `make test-newest`: the same few examples every time.
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=10)
settings.load_profile("untimed")

# A shell that starts the tests in the background leaves interrupts ignored, in them and in every process they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

with contextlib.suppress(ImportError):  # Windows has no such limit
    import resource

    # macOS gives a process 256 files unless it asks for more; a hundred prompts at once and their server need them all.
    _soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    _files = 4096 if _hard == resource.RLIM_INFINITY else min(4096, _hard)
    if _soft != resource.RLIM_INFINITY and _soft < _files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_files, _hard))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--late",
        type=int,
        default=0,
        metavar="MS",
        help="let frames, scrolling and changes of size reach pages so many milliseconds late, as on a busy machine: "
        "a browser test that looks before the page has drawn then fails every time",
    )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A chat server of the test's own, which the environment names as OpenAI's."""
    with openai_server.running() as found:
        monkeypatch.setenv("OPENAI_BASE_URL", found.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        yield found


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may reach a provider with the keys of whoever runs it."""
    for endpoint in endpoints.BUILT_IN:
        for name in (*endpoint.key_variables, endpoint.url_variable):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(credentials, "_has_extra", {}.get)
    # Nor may a test find what another has registered, or what another's server did.
    REGISTRY.reset()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """What needs a browser or the model must run: a skip would pass for a success."""
    report = yield
    if report.skipped and any(item.get_closest_marker(name) for name in ("browser", "model")):
        report.outcome = "failed"
        report.longrepr = f"skipped, and must not be: {report.longrepr}"
    return report
