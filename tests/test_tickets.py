"""The notebook of four hundred tickets runs unchanged against an OpenAI-compatible server."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from tests.openai_server import ChatServer, Reply, Seen

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
LOCAL = 'LLMClient("local", '


def text_completion(seen: Seen, top: dict[str, float]) -> dict[str, Any]:
    """A completion of one token, with the alternatives in the form of old completions."""
    token = max(top, key=top.__getitem__)
    logprobs = {
        "tokens": [token],
        "token_logprobs": [math.log(top[token])],
        "top_logprobs": [{text: math.log(p) for text, p in top.items()}],
        "text_offset": [0],
    }
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1_790_000_000,
        "model": seen.body["model"],
        "choices": [{"index": 0, "text": token, "logprobs": logprobs, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
    }


@pytest.mark.filterwarnings("ignore")
def test_the_notebook_of_tickets_needs_one_other_line_for_a_server_of_your_own(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.chdir(FOLDER)
    notebook = json.loads((FOLDER / "03_four_hundred_tickets.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert sum(LOCAL in cell for cell in cells) == 1
    code = "\n".join(cells).replace(LOCAL, f'LLMClient("vllm/m", base_url={server.url!r}, ')
    rows = (FOLDER / "tickets.csv").read_text(encoding="utf-8")

    def answer(seen: Seen, _: int) -> Reply:
        text = str(seen.body["prompt"]).rsplit("Message: ", 1)[1].rpartition("\n")[0]
        line = next((line for line in rows.splitlines() if text and text in line.replace('""', '"')), "")
        good = random.Random(text).betavariate(4, 2) if line else 0.5
        p = good if line.endswith("praise") else 1 - good
        return Reply(text_completion(seen, {" positive": 0.9 * p, " negative": 0.9 * (1 - p), " neutral": 0.05}))

    server.answer = answer
    names: dict[str, Any] = {}
    exec(code, names)
    assert len(server.seen) == 403
    result, report = names["result"], names["report"]
    assert list(result.index) == list(names["df"].index)
    assert set(result["read_by"]) == {"model", "person"}
    assert len(report) == 150
    assert report.accuracy.value == pytest.approx((result["label"] == result["truth"]).head(150).mean())
    assert names["found"].review(8).to_pandas()["probability"].max() <= result["probability"].quantile(0.05)
