"""A batch service on this machine: files and batches with the API of OpenAI, answered by a function."""

from __future__ import annotations

import json
import math
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from tests.jobs.rows import share

Line = dict[str, Any]


def row_of(line: Line) -> int:
    """Return the row that a line asks about."""
    return int(line["body"]["messages"][-1]["content"].split()[1])


def answer_of(line: Line) -> Line:
    """Return the line of the right answer."""
    yes = share(row_of(line))
    likeliest = "yes" if yes > 0.5 else "no"
    return reply_of(line, body_of(likeliest, {"yes": yes, "no": 1 - yes}))


def reply_of(line: Line, body: Any, status: int = 200) -> Line:
    """Return the line of a reply."""
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": "batch_req_1", "custom_id": line["custom_id"], "response": response, "error": None}


def body_of(text: str, probabilities: dict[str, float]) -> Any:
    """Return a chat completion of one token."""

    top = [{"token": t, "logprob": math.log(p), "bytes": list(t.encode())} for t, p in probabilities.items()]
    own = next(entry for entry in top if entry["token"] == text)
    return {
        "model": "x",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "length",
                "logprobs": {"content": [{**own, "top_logprobs": sorted(top, key=lambda e: -e["logprob"])}]},
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1},
    }


def answer(line: Line) -> Line | None:
    """Return the answer of a service: as :func:`answer_of`, which tests replace for some rows."""
    return answer_of(line)


class BatchService:
    """State of the service; tests set its behaviour."""

    def __init__(self) -> None:
        self.url = ""
        self.answer: Callable[[Line], Line | None] = answer
        self.looks_until_done = 1
        self.first = "validating"
        self.final: Line = {"status": "completed"}
        self.identify: Callable[[str, int], str | int] = "{}-{}".format
        """Identifier of a file or a batch, by its kind and number."""
        self.change: Callable[[str, int, bytes], tuple[int, bytes]] = lambda path, status, body: (status, body)
        """Changes a reply, by its path, before it is sent."""
        self.fail_after_create = False
        self.lost = "none"
        """Part of the paths that the service does not know."""
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, Line] = {}
        self.asked: list[Line] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.form: dict[str, str] = {}

    def handle(self, method: str, path: str, content: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        return self.change(path, *self._reply(method, path, content, headers))

    def _reply(self, method: str, path: str, content: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        self.paths.append(f"{method} {path}")
        self.headers.append(headers)
        route = path.partition("?")[0].removeprefix("/v1")
        if self.lost in path:
            return 404, b'{"error": {"message": "no such path"}}'
        if method == "POST" and route == "/files":
            content, self.form = read_form(content, headers["content-type"])
            return 200, json.dumps({"id": self._keep(content), "object": "file"}).encode()
        if method == "POST" and route == "/batches":
            name = self.identify("batch", len(self.batches))
            batch: Line = {**json.loads(content), "id": name, "status": self.first, "looks": 0}
            self.batches[str(name)] = batch
            self.asked += [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
            if self.fail_after_create:
                self.fail_after_create = False
                return 502, b'{"error": {"message": "the gateway fell over"}}'
            return 200, json.dumps(batch).encode()
        if route == "/batches":
            return 200, json.dumps({"data": list(self.batches.values())[::-1]}).encode()
        if found := re.fullmatch("/batches/([^/]+)", route):
            return 200, json.dumps(self._look(self.batches[unquote(found[1])])).encode()
        if found := re.fullmatch("/files/([^/]+)/content", route):
            return 200, self.files[unquote(found[1])]
        return 404, b'{"error": {"message": "no such path"}}'

    def _look(self, batch: Line) -> Line:
        batch["looks"] += 1
        if batch["looks"] <= self.looks_until_done or batch["status"] == "completed":
            return batch
        asked = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        answers = [found for line in asked if (found := self.answer(line)) is not None]
        random.Random(3).shuffle(answers)
        good = [one for one in answers if not one["error"] and one["response"].get("status_code", 200) < 400]
        bad = [one for one in answers if one not in good]
        batch |= self.final
        for kind, lines in (("output", good), ("error", bad)):
            batch[f"{kind}_file_id"] = None
            if lines:
                batch[f"{kind}_file_id"] = self._keep(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        return batch

    def _keep(self, content: bytes) -> str | int:
        name = self.identify("file", len(self.files))
        self.files[str(name)] = content
        return name


def read_form(content: bytes, kind: str) -> tuple[bytes, dict[str, str]]:
    """Return the file of a form, and its other fields."""
    mark = kind.partition("boundary=")[2].encode()
    file, fields = b"", dict[str, str]()
    for part in content.split(b"--" + mark)[1:-1]:
        head, _, body = part.strip(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'name="(\w+)"', head)
        assert name is not None
        if b"filename=" in head:
            file = body + b"\n"
        else:
            fields[name[1].decode()] = body.decode()
    return file, fields


@contextmanager
def batch_service() -> Iterator[BatchService]:
    """Run a batch service."""
    service = BatchService()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, body = service.handle(self.command, self.path, self.rfile.read(length), headers)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
