"""Check the subject of a commit: ``python .github/commit_subject.py FILE``, the file that has the commit's message."""

from __future__ import annotations

import sys
from pathlib import Path

LONGEST = 72


def problem(message: str) -> str | None:
    """Return what is wrong with the subject of a commit message, or None."""
    subject = message.partition("\n")[0].rstrip()
    if len(subject) > LONGEST:
        return f"The subject has {len(subject)} characters; at most {LONGEST} are allowed. The why goes into the body."
    if subject.endswith("."):
        return "The subject ends with a full stop; leave it out."
    return None


if __name__ == "__main__":
    sys.exit(problem(Path(sys.argv[1]).read_text(encoding="utf-8")))
