"""Cost of an import: CPU seconds of a fresh interpreter, above those of a bare one."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

PEERS = {"lm_deluge": "lm-deluge", "openai": "openai"}
OURS = "from deluge_nb import LLMClient, SamplingParams, extract_prob, score_llm"
ROUNDS = 9
BAR = 0.25


def peers_python(build: Path) -> Path:
    """Make an environment with the peers, once, and return its interpreter."""
    home = build / "peers"
    python = home / "bin" / "python"
    if not python.exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", home], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PEERS.values()], check=True)
    return python


def cpu_of(python: Path, code: str) -> float:
    """Return the user and system seconds of a fresh interpreter that runs the code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(build: Path) -> dict[str, Any]:
    """Return medians over interleaved rounds."""
    theirs, own = peers_python(build), Path(sys.executable)
    cases = {"deluge_nb": (own, OURS), **{name: (theirs, f"import {name}") for name in PEERS}}
    bare = {own: [], theirs: []}
    seen: dict[str, list[float]] = {name: [] for name in cases}
    for python, code in cases.values():
        cpu_of(python, code)  # Compile the modules and read them into memory first.
    for _ in range(ROUNDS):
        for python, times in bare.items():
            times.append(cpu_of(python, "pass"))
        for name, (python, code) in cases.items():
            seen[name].append(cpu_of(python, code))
    seconds_above_bare = {
        name: statistics.median(times) - statistics.median(bare[cases[name][0]]) for name, times in seen.items()
    }
    ratio = seconds_above_bare["deluge_nb"] / seconds_above_bare["lm_deluge"]
    return {
        "cpu_seconds": seconds_above_bare,
        "ratio_to_lm_deluge": ratio,
        "ratio_to_openai": seconds_above_bare["deluge_nb"] / seconds_above_bare["openai"],
        "bar": f"ratio_to_lm_deluge <= {BAR}",
        "passed": ratio <= BAR,
    }
