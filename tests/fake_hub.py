"""A server on this machine with the part of the interface of Hugging Face's Hub that packdepth's client uses.

Repositories hold their files in memory. Every commit replaces files, and is known by a number of 40 digits.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = re.compile(r"/api/models/([^/]+/[^/]+)/(commit|preupload)/main")
INFO = re.compile(r"/api/models/([^/]+/[^/]+?)(?:/revision/([^/?]+))?(?:\?.*)?")
RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/([^?]+)")


class FakeHub(ThreadingHTTPServer):
    """The server. `repositories` holds the files of each commit, the newest last, by the name of the repository."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.claims: dict[str, int] = {}  # sizes that the server states in place of the true ones, by file
        self.requests: list[str] = []
        self.files: dict[str, bytes] = {}  # other files, by their paths on the server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def commit(self, name: str, files: dict[str, bytes]) -> str:
        """Add a commit to a repository and return its number."""
        commits = self.repositories.setdefault(name, {})
        content = {**(list(commits.values())[-1] if commits else {}), **files}
        number = hashlib.sha1(f"{name}{len(commits)}".encode()).hexdigest()
        commits[number] = content
        return number

    def find(self, name: str, revision: str | None) -> tuple[str, dict[str, bytes]] | None:
        """Return a commit and its files; None if there is none."""
        commits = self.repositories.get(name, {})
        if revision in (None, "main"):
            return list(commits.items())[-1] if commits else None
        return (str(revision), commits[str(revision)]) if revision in commits else None


class Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        if self.path in self.server.files:
            return self.answer(self.server.files[self.path])
        if (match := RESOLVE.fullmatch(self.path)) is not None:
            found = self.server.find(match[1], match[2])
            if found is not None and match[3] in found[1]:
                content = found[1][match[3]]
                tag = hashlib.sha256(content).hexdigest()
                return self.answer(content, {"X-Repo-Commit": found[0], "ETag": f'"{tag}"'})
        elif (match := INFO.fullmatch(self.path)) is not None:
            found = self.server.find(match[1], match[2])
            if found is not None:
                sizes = {name: self.server.claims.get(name, len(content)) for name, content in found[1].items()}
                siblings = [{"rfilename": name, "size": size} for name, size in sizes.items()]
                return self.json({"id": match[1], "sha": found[0], "siblings": siblings, "tags": [], "private": False})
        return self.answer(b"", {"X-Error-Code": "RepoNotFound"}, 404)

    def do_POST(self) -> None:
        self.server.requests.append(f"POST {self.path}")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/repos/create":
            name = f"{json.loads(body).get('organization') or 'user'}/{json.loads(body)['name']}"
            return self.json({"url": f"{self.server.url}/{name}", "id": name, "name": name})
        if self.path == "/api/validate-yaml":
            return self.json({"errors": [], "warnings": []})
        match = COMMIT.fullmatch(self.path.partition("?")[0])
        if match is None:
            return self.answer(b"", status=404)
        if match[2] == "preupload":
            files = [
                {"path": each["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for each in json.loads(body)["files"]
            ]
            return self.json({"files": files})
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        added = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"
        }
        number = self.server.commit(match[1], added)
        return self.json({"commitUrl": f"{self.server.url}/{match[1]}/commit/{number}", "commitOid": number})

    def json(self, value: Any) -> None:
        self.answer(json.dumps(value).encode(), {"Content-Type": "application/json"})

    def answer(self, content: bytes, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Serve a hub without repositories."""
    with FakeHub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
