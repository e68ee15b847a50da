"""Ask the embedded model for the likelihoods of all recorded questions again: ``python -m tests.lab.record``."""

from __future__ import annotations

from deluge_nb.client.client import client_for
from deluge_nb.lab import recording
from deluge_nb.lab.quiz.betting import option_logprobs
from deluge_nb.lab.quiz.recordings import SETS, write_recording


def main() -> None:
    with client_for("local") as client:
        for name in SETS:
            questions = recording(name).questions
            # Six digits are more than two processors agree on.
            rows = [[round(logprob, 6) for logprob in row] for row in option_logprobs(questions, client)]
            write_recording(name, questions, rows)


if __name__ == "__main__":
    main()
