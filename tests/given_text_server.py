"""A server with a toy model that returns log-probabilities of given text in every form that real servers have."""

from __future__ import annotations

import json
import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = (" once", " upon", " a", " time", " then", " was", " king", ",", " who", " had")
BOS = b"<s>"


def pieces_of(text: str) -> list[bytes]:
    """Cut a text into tokens of at most four letters; a character of four bytes is two tokens."""
    pieces: list[bytes] = []
    for chunk in re.findall(r" ?[A-Za-z]{1,4}| ?[^A-Za-z\s]|\s", text):
        octets = chunk.encode()
        pieces += [octets] if chunk.isascii() else [octets[:-2], octets[-2:]]
    return pieces


def text_of(piece: bytes) -> str:
    return piece.decode("utf-8", "replace")


def id_of(piece: bytes) -> int:
    return zlib.crc32(piece) % 50_000 + 10


def logprob_of(before: bytes | None, piece: bytes) -> float | None:
    """Return the model's log-probability of a token after another one; None without one."""
    return None if before is None else -0.01 - (zlib.crc32(before + b"|" + piece) % 900) / 100


@dataclass
class Toy:
    """Behaviour of a server; :attr:`url` is its address."""

    bos: bool = False
    ignores_echo: bool = False
    shift: int = 0
    context: int | None = None
    cut_to: int | None = None
    nulls: bool = False
    replaced: dict[int, float | None] = field(default_factory=dict)
    """Numbers of tokens by their place from the end, in place of the model's own."""
    twins: bool = False
    """True to list a second token with the text of the first alternative."""
    empty_prefill: bool = False
    without_ids: bool = False
    empty_bos: bool = False
    lists_nothing_after: bool = False
    """True to list no tokens after a text."""
    lists_drawn_only: bool = False
    """True to list a token alone, so that its list is the top of a distribution."""
    tokenizes: bool = True
    """False for a server behind a router that knows the routes of OpenAI only."""
    with_dummy_space: bool = False
    """True to put a space before a text that is cut into tokens, as SentencePiece does."""
    strips_spaces: bool = False
    """True to decode each token by itself, as servers do with tokens of SentencePiece: without its space."""
    joins_characters: bool = False
    """True to write a character of several tokens at the last one, and nothing at those before it, as vLLM does."""
    first_is_zero: bool = False
    """True to write 0 where the first token of a text has no number."""
    names_drawn_by_id: bool = False
    lacks_first: bool = False
    """True to leave out the first row of a reply of ``/generate``."""
    begun: bytes = b""
    """The token before the one that is written."""
    url: str = ""
    pieces: dict[int, bytes] = field(default_factory=dict)
    """Tokens that have been named by their ids."""
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def cut(self, text: str | list[int]) -> list[bytes]:
        """Return the tokens of a prompt; nothing is put in front of ids."""
        if isinstance(text, list):
            return [self.pieces[token] for token in text]
        return [BOS, *pieces_of(text)] if self.bos else pieces_of(text)

    def tokenize(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return what vLLM's ``/tokenize`` does."""
        pieces = pieces_of(f" {body['prompt']}" if self.with_dummy_space else body["prompt"])
        pieces = [BOS, *pieces] if self.bos and body["add_special_tokens"] else pieces
        self.pieces |= {id_of(piece): piece for piece in pieces}
        ids = [id_of(piece) for piece in pieces]
        return {"count": len(ids), "max_model_len": self.context or 4096, "tokens": ids, "token_strs": None}

    def detokenize(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return what vLLM's ``/detokenize`` does."""
        text = b"".join(self.pieces[token] for token in body["tokens"]).decode()
        return {"prompt": text.removeprefix(" ") if self.with_dummy_space else text}

    def text(self, piece: bytes) -> str:
        """Return what the server writes for a token."""
        text = text_of(piece)
        if self.joins_characters and "\ufffd" in text:
            # The toy's tokens are the first bytes of a character, or its last two.
            return "" if piece.lstrip(b" ")[0] >= 0xC0 else text_of(self.begun + piece)
        return text.removeprefix(" ") if self.strips_spaces else text

    def texts(self, pieces: list[bytes]) -> list[str]:
        """Return what the server writes for consecutive tokens."""
        texts: list[str] = []
        for before, piece in zip([b"", *pieces], pieces, strict=False):
            self.begun = before
            texts.append(self.text(piece))
        return texts

    def tokens(self, text: str | list[int]) -> list[tuple[bytes, float | None]]:
        pieces = self.cut(text)
        pairs: list[tuple[bytes, float | None]] = [
            (piece, logprob_of(pieces[i - 1] if i else None, piece)) for i, piece in enumerate(pieces)
        ]
        if self.shift:
            numbers = [number for _, number in pairs]
            pairs = [(p, n) for (p, _), n in zip(pairs, [None, *numbers], strict=False)]
        if self.first_is_zero and pairs and pairs[0][1] is None:
            pairs[0] = pairs[0][0], 0.0
        if self.nulls:
            pairs = [(piece, None) for piece, _ in pairs]
        for place, number in self.replaced.items():
            if place <= len(pairs):
                pairs[-place] = pairs[-place][0], number
        return pairs[-self.cut_to :] if self.cut_to else pairs

    def draw(self, text: str | list[int], count: int) -> list[tuple[bytes, float | None]]:
        pieces = [piece for piece in self.cut(text) if piece != BOS]
        text = b"".join(pieces).decode() if isinstance(text, list) else text
        drawn: list[tuple[bytes, float | None]] = []
        for step in range(count):
            piece = WORDS[zlib.crc32(text.encode() + bytes([step])) % len(WORDS)].encode()
            drawn.append((piece, logprob_of(pieces[-1] if pieces else BOS, piece)))
            pieces.append(piece)
        return drawn

    def top(self, pair: tuple[bytes, float | None], k: int) -> dict[bytes, float]:
        piece, number = pair
        if self.lists_drawn_only:
            return {piece: number} if number is not None else {}
        listed = {b" w%d" % i: -0.5 - i for i in range(k)}
        listed[b"</s>"] = -0.25
        return listed | ({piece: number} if number is not None else {})

    def by_text(self, pair: tuple[bytes, float | None], k: int) -> dict[str, float] | None:
        return None if pair[1] is None else {self.text(piece): number for piece, number in self.top(pair, k).items()}

    def reply(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.seen.append((path, body))
        if path == "/tokenize":
            return (200, self.tokenize(body)) if self.tokenizes else (404, {"detail": "Not Found"})
        if path == "/detokenize":
            return 200, self.detokenize(body)
        if path == "/generate":
            return self.native(body)
        if path == "/v1/chat/completions":
            return self.chat(body)
        text, count = body["prompt"], body.get("max_tokens", 1)
        pairs = self.tokens(text)
        if self.context is not None and len(pairs) + count > self.context:
            message = f"This model's maximum context length is {self.context} tokens."
            return 400, {"error": {"message": message, "code": "context_length_exceeded"}}
        drawn = self.draw(text, count)
        shown = [*pairs, *drawn] if body.get("echo") and not self.ignores_echo else drawn
        choice: dict[str, Any] = {"index": 0, "text": "", "finish_reason": "length"}
        texts = self.texts([piece for piece, _ in shown])
        if self.names_drawn_by_id and not body.get("echo"):
            texts = [f"token_id:{id_of(piece)}" for piece, _ in shown]
        if self.empty_bos and shown and shown[0][0] == BOS:
            texts[0] = ""
        choice["text"] = b"".join(piece for piece, _ in shown).decode("utf-8", "replace")
        choice["logprobs"] = {
            "tokens": texts,
            "token_logprobs": [number for _, number in shown],
            "top_logprobs": [
                None
                if number is None
                else {self.text(p): n for p, n in self.top((piece, number), body["logprobs"]).items()}
                for piece, number in shown
            ],
            "text_offset": [-1] * len(shown),
        }
        if "prompt_logprobs" in body and not self.ignores_echo:
            choice["prompt_logprobs"] = self.prompt_rows(pairs, body["prompt_logprobs"])
            if not self.without_ids:
                choice["prompt_token_ids"] = [id_of(piece) for piece, _ in pairs]
        usage = {"prompt_tokens": len(pairs), "completion_tokens": count, "total_tokens": len(pairs) + count}
        return 200, {"choices": [choice], "usage": usage, "model": "toy"}

    def prompt_rows(self, pairs: list[tuple[bytes, float | None]], k: int) -> list[Any]:
        rows: list[Any] = []
        for pair, self.begun in zip(pairs, [b"", *(piece for piece, _ in pairs)], strict=False):
            entries = {
                str(id_of(piece)): {"logprob": number, "rank": 1, "decoded_token": self.text(piece)}
                for piece, number in self.top(pair, k).items()
            }
            if self.twins:
                entries["7"] = {"logprob": -0.75, "rank": 9, "decoded_token": " w0"}
            rows.append(None if pair[1] is None else entries)
        return rows

    def chat(self, body: dict[str, Any]) -> tuple[int, Any]:
        rendered = "".join(f"[{message['role']}]{message['content']}\n" for message in body["messages"])
        rendered = rendered[:-1] if body.get("continue_final_message") else rendered + "[assistant]"
        pairs = self.tokens(rendered)
        reply: dict[str, Any] = {"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "length"}]}
        if "top_logprobs" in body:
            (drawn,) = self.draw(rendered, 1)
            listed = [{"token": text_of(p), "logprob": n} for p, n in self.top(drawn, body["top_logprobs"]).items()]
            entry = {"token": text_of(drawn[0]), "logprob": drawn[1], "top_logprobs": listed}
            reply["choices"][0]["logprobs"] = {"content": [entry]}
        reply["prompt_token_ids"] = [id_of(piece) for piece, _ in pairs]
        if "prompt_logprobs" in body:
            reply["prompt_logprobs"] = self.prompt_rows(pairs, body["prompt_logprobs"])
        return 200, reply

    def native(self, body: dict[str, Any]) -> tuple[int, Any]:
        if "inputs" in body:
            pairs = self.tokens(body["inputs"])
            prefill = [{"id": id_of(p), "text": self.text(p), "logprob": n} for p, n in pairs]
            after = self.draw(body["inputs"], 1)
            drawn = [{"id": id_of(p), "text": text_of(p), "logprob": n} for p, n in after]
            details: dict[str, Any] = {"prefill": prefill[: 0 if self.empty_prefill else None], "tokens": drawn}
            if (count := body["parameters"].get("top_n_tokens")) and not self.lists_nothing_after:
                details["top_tokens"] = [
                    [{"id": id_of(p), "text": text_of(p), "logprob": n} for p, n in self.top(pair, count).items()]
                    for pair in after
                ]
            return 200, {"generated_text": "", "details": details}
        pairs = self.tokens(body["text"])
        info: dict[str, Any] = {"prompt_tokens": len(pairs), "completion_tokens": 1}
        if body.get("return_logprob"):
            start = body["logprob_start_len"]
            zero = 0.0 if self.first_is_zero else None
            shown = [(piece, zero if i == 0 else number) for i, (piece, number) in enumerate(pairs[start:])]
            shown = shown[1:] if self.lacks_first else shown
            after = self.draw(body["text"], 0 if self.lists_nothing_after else 1)
            for name, rows in (("input", shown), ("output", after)):
                info[f"{name}_token_logprobs"] = [[number, id_of(piece), self.text(piece)] for piece, number in rows]
                info[f"{name}_top_logprobs"] = [
                    None
                    if pair[1] is None
                    else [[n, id_of(p), text_of(p)] for p, n in self.top(pair, body["top_logprobs_num"]).items()]
                    for pair in rows
                ]
        return 200, {"text": "", "meta_info": info}


@contextmanager
def running(**behaviour: Any) -> Iterator[Toy]:
    """Run a server on a free port of this machine, and stop it at the end."""
    toy = Toy(**behaviour)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, reply = toy.reply(self.path, body)
            content = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    toy.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield toy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
