"""What importing costs: CPU seconds in fresh interpreters, above a bare one."""

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
    """An environment with the peers, made once."""
    home = build / "peers"
    python = home / "bin" / "python"
    if not python.exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", home], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PEERS.values()], check=True)
    return python


def cpu_of(python: Path, code: str) -> float:
    """User and system seconds of a fresh interpreter that runs the code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(build: Path) -> dict[str, Any]:
    """Medians over interleaved rounds."""
    theirs, own = peers_python(build), Path(sys.executable)
    cases = {"deluge_nb": (own, OURS), **{name: (theirs, f"import {name}") for name in PEERS}}
    bare = {own: [], theirs: []}
    seen: dict[str, list[float]] = {name: [] for name in cases}
    for python, code in cases.values():
        cpu_of(python, code)  # compiles what is imported, and brings it into memory
    for _ in range(ROUNDS):
        for python, times in bare.items():
            times.append(cpu_of(python, "pass"))
        for name, (python, code) in cases.items():
            seen[name].append(cpu_of(python, code))
    found = {name: statistics.median(times) - statistics.median(bare[cases[name][0]]) for name, times in seen.items()}
    ratio = found["deluge_nb"] / found["lm_deluge"]
    return {
        "cpu_seconds": found,
        "ratio_to_lm_deluge": ratio,
        "ratio_to_openai": found["deluge_nb"] / found["openai"],
        "bar": f"ratio_to_lm_deluge <= {BAR}",
        "passed": ratio <= BAR,
    }
