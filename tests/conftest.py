"""Settings and fixtures shared by all tests."""

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

# No deadlines: a busy machine must not fail a test, and benchmarks measure times. In CI the examples are the same every
# time, elsewhere new ones; --hypothesis-profile=thorough tries very many.
settings.register_profile("untimed", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.register_profile("thorough", deadline=None, max_examples=3000)
# For `make check` and `make test-newest`: the same few examples every time.
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=10)
settings.load_profile("untimed")

# A shell that starts the tests in the background makes them, and every process they start, ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

with contextlib.suppress(ImportError):  # Windows has no such limit
    import resource

    # macOS allows a process 256 open files unless it asks for more; a hundred concurrent prompts and their server need
    # more.
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
        help="delay frames, scroll events and changes of size by so many milliseconds, as on a busy machine: "
        "a browser test that does not wait for rendering then fails every time",
    )
    parser.addoption(
        "--engines",
        action="store_true",
        help="collect the tests of Spark, Ray and Daft, which need these packages; see `make test-engines`",
    )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A chat server for one test; the environment names it as the OpenAI server."""
    with openai_server.running() as chat_server:
        monkeypatch.setenv("OPENAI_BASE_URL", chat_server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
        yield chat_server


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the user's API keys, so that no test reaches a provider."""
    for endpoint in endpoints.BUILT_IN:
        for name in (*endpoint.key_variables, endpoint.url_variable):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(credentials, "_has_extra", {}.get)
    # Also forget models that another test has registered, and facts learned about its server.
    REGISTRY.reset()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Fail a browser or model test that is skipped: a skip would look like success."""
    report = yield
    if report.skipped and any(item.get_closest_marker(name) for name in ("browser", "model")):
        report.outcome = "failed"
        report.longrepr = f"skipped, and must not be: {report.longrepr}"
    return report
