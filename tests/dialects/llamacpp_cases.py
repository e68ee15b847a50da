"""Asks whose replies were recorded from the embedded model; run as a module, this records them again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deluge_nb.dialects import llamacpp
from deluge_nb.dialects.base import Ask, Completion, Exchange, Request
from deluge_nb.models.catalogue import BUILT_IN
from deluge_nb.models.endpoints import LOCAL
from deluge_nb.prompts import PromptLike, RawPrompt, as_prompt
from deluge_nb.sampling import SamplingParams

RECORDED = Path(__file__).parent.parent / "fixtures" / "dialects" / "llamacpp.json"
VOCABULARY = 49_152
SYSTEM = next(spec.system for spec in BUILT_IN if spec.pattern == "local")


def ask(prompt: PromptLike, *, continuation: str | None = None, logprobs: bool = True, **settings: Any) -> Ask:
    """An ask of the embedded model."""
    params = SamplingParams(logprobs=logprobs, **settings)
    return Ask("local", LOCAL, as_prompt(prompt), params, SYSTEM, continuation=continuation, vocab_size=VOCABULARY)


CASES = {
    "a chat answer": ask("What is the capital of France?", temperature=0, top_logprobs=3, max_new_tokens=12),
    "an answer that ends by itself": ask("Say only: hi", temperature=0, max_new_tokens=60),
    "no log-probabilities": ask(RawPrompt("The capital of France is"), logprobs=False, temperature=0, max_new_tokens=3),
    "chosen tokens only": ask(RawPrompt("The capital of France is"), temperature=0, max_new_tokens=3),
    "characters of several tokens": ask(
        RawPrompt("日本語: 😀🎉 中文，"), temperature=2.0, seed=3, top_logprobs=2, max_new_tokens=12
    ),
    "emoji, the last cut off": ask(
        RawPrompt("Emoji: 🦆 🐢 🦆 🐢 🦆 🐢 🦆"), temperature=0, top_logprobs=1, max_new_tokens=9
    ),
    "a stop string": ask(
        RawPrompt("Q: What is the capital of France?\nA:"), temperature=0, stop=[".", "!!"], max_new_tokens=20
    ),
    "a stop string inside a token": ask(
        RawPrompt("The capital of France is"), temperature=0, stop=["ris"], max_new_tokens=20, top_logprobs=1
    ),
    "a given text": ask(RawPrompt("The capital of France is"), continuation=" Paris.", top_logprobs=2),
    "a given text after a space": ask(RawPrompt("The capital of France is "), continuation="Paris."),
    "a given text in an answer": ask("What is the capital of France?", continuation="The capital of France is Paris."),
    "a given text of half characters": ask(RawPrompt("Animals:"), continuation=" 🦆 x", top_logprobs=1),
    "a given special token": ask(RawPrompt("hello"), continuation="<|im_end|>"),
}


def played(exchange: Exchange, replies: Iterator[tuple[Request, bytes]]) -> Completion:
    """Carry out an exchange with replies from a recording, each of which must be to the request that is made."""
    request = next(exchange)
    while True:
        recorded, body = next(replies)
        assert request == recorded
        try:
            request = exchange.send(body)
        except StopIteration as end:
            assert next(replies, None) is None, "fewer requests were made than recorded"
            return end.value


def recording(name: str) -> Iterator[tuple[Request, bytes]]:
    """A request and its reply."""
    for request, reply in json.loads(RECORDED.read_text(encoding="utf-8"))[name]:
        yield Request(**request), json.dumps(reply).encode()


def _record() -> None:
    import httpx

    from deluge_nb.local import LocalModel

    model = LocalModel()
    found: dict[str, list[Any]] = {}
    with httpx.Client(trust_env=False, timeout=60) as client:
        launch = model.spec.endpoint.launch
        assert callable(launch)
        address = launch().address()
        for name, asked in CASES.items():
            exchange, steps = llamacpp.exchange(asked), found.setdefault(name, [])
            request = next(exchange)
            while True:
                reply = client.request(
                    request.method,
                    address.base_url + request.path,
                    json=request.body,
                    headers={"Authorization": f"Bearer {address.key}"},
                )
                assert reply.is_success, (name, reply.text)
                body = reply.json()
                for noise in ("timings", "generation_settings"):
                    body.pop(noise, None)
                steps.append([{"path": request.path, "body": request.body, "method": request.method}, body])
                try:
                    request = exchange.send(reply.content)
                except StopIteration:
                    break
            _shorten(steps)
    model.close()
    lines = (f"{json.dumps(name)}: {json.dumps(steps, separators=(',', ':'))}" for name, steps in found.items())
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _shorten(steps: list[Any]) -> None:
    """Of the long lists of alternatives, keep the likeliest and what is looked for."""
    replies = [reply for _, reply in steps]
    listed = [token for reply in replies for token in reply.get("tokens", ())]
    wanted = {token["id"] if isinstance(token, dict) else token for token in listed}
    for reply in replies:
        for entry in reply.get("completion_probabilities", ()):
            top = entry["top_logprobs"]
            entry["top_logprobs"] = top[:20] if len(top) <= 20 else top[:3] + [o for o in top[3:] if o["id"] in wanted]


if __name__ == "__main__":
    _record()
