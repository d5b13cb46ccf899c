"""A stand-in of the hub: what huggingface_hub asks of it, on this machine.

It stores what is sent as the hub does: small files inside the commit, large
ones by their hash before it, and nothing is in a repository without a commit.

Authors
 * The d2v_sb developers 2026
"""

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from huggingface_hub.utils.sha import git_hash

TOKEN = "hf_of_the_stand_in"
LARGE = (".ckpt", ".safetensors")


class HubStandIn:
    """The server and what it holds.

    Arguments
    ---------
    user : str
        In whose name the token may write.
    """

    def __init__(self, user="me"):
        self.user = user
        self.repos = {}  # name: {branch: {path: bytes}}
        self.private = {}
        self.large = {}  # sha256: bytes
        self.requests = []  # (method, path)
        self.refuse = {}  # a part of a path: status
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=[0.01]
        )

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def asked(self, part):
        """Requests whose path has this part."""
        return [path for _, path in self.requests if part in path]


class _Handler(BaseHTTPRequestHandler):
    hub: HubStandIn

    def log_message(self, *_):
        """Says nothing."""

    def do_GET(self):
        """A list of files."""
        self._serve()

    def do_POST(self):
        """All else."""
        self._serve()

    def do_PUT(self):
        """A large file."""
        self._serve()

    def _serve(self):
        size = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(size)
        path = self.path.split("?")[0]
        self.hub.requests.append((self.command, path))
        for part, status in self.hub.refuse.items():
            if part in path:
                return self._answer({"error": "refused for the test"}, status)
        for pattern, answer in ROUTES:
            if found := re.fullmatch(pattern, path):
                # As on the hub: an address for a large file is signed itself.
                if answer is not _Handler._store:
                    given = self.headers.get("Authorization")
                    if given != f"Bearer {TOKEN}":
                        return self._answer(
                            {"error": "Invalid username or password."}, 401
                        )
                return answer(self, *found.groups())
        return self._answer({"error": f"no route {path}"}, 404)

    def _answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _create(self):
        wanted = json.loads(self.body)
        name = f"{wanted['organization']}/{wanted['name']}"
        if wanted["organization"] != self.hub.user:
            return self._answer(
                {"error": "You don't have the rights to create a model"}, 403
            )
        answer = {"url": f"{self.hub.address}/{name}"}
        if name in self.hub.repos:
            return self._answer(answer, 409)
        self.hub.repos[name] = {"main": {}}
        self.hub.private[name] = wanted.get("visibility") == "private"
        return self._answer(answer)

    def _validate(self):
        content = json.loads(self.body)["content"]
        if not content.startswith("---\n"):
            return self._answer({"errors": [{"message": "no metadata"}]}, 400)
        return self._answer({"errors": [], "warnings": []})

    def _branch(self, name, branch):
        branches = self.hub.repos[name]
        if branch in branches:
            return self._answer({"error": "exists"}, 409)
        branches[branch] = dict(branches["main"])
        return self._answer({})

    def _tree(self, name, branch):
        files = self.hub.repos[name][branch]
        return self._answer(
            [
                {"type": "file", "path": p, "size": len(b), "oid": git_hash(b)}
                for p, b in files.items()
            ]
        )

    def _preupload(self, name, branch):
        there = self.hub.repos[name][branch]
        answers = []
        for file in json.loads(self.body)["files"]:
            path, oid = file["path"], None
            mode = "lfs" if path.endswith(LARGE) else "regular"
            if path in there:
                content = there[path]
                sha = hashlib.sha256(content).hexdigest()
                oid = sha if mode == "lfs" else git_hash(content)
            answers.append(
                {
                    "path": path,
                    "uploadMode": mode,
                    "shouldIgnore": False,
                    "oid": oid,
                }
            )
        return self._answer({"files": answers})

    def _batch(self, _):
        objects = json.loads(self.body)["objects"]
        for item in objects:
            if item["oid"] not in self.hub.large:
                href = f"{self.hub.address}/large/{item['oid']}"
                item["actions"] = {"upload": {"href": href, "header": {}}}
        return self._answer({"transfer": "basic", "objects": objects})

    def _store(self, oid):
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.large[oid] = self.body
        return self._answer({})

    def _commit(self, name, branch):
        files = self.hub.repos[name][branch]
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        oid = "0" * 40
        url = f"{self.hub.address}/{name}/commit/{oid}"
        return self._answer({"commitUrl": url, "commitOid": oid})


NAME = r"([\w.-]+/[\w.-]+)"
ROUTES = (
    (r"/api/repos/create", _Handler._create),
    (r"/api/validate-yaml", _Handler._validate),
    (rf"/api/models/{NAME}/branch/([\w.-]+)", _Handler._branch),
    (rf"/api/models/{NAME}/tree/([\w.-]+)", _Handler._tree),
    (rf"/api/models/{NAME}/preupload/([\w.-]+)", _Handler._preupload),
    (rf"/{NAME}\.git/info/lfs/objects/batch", _Handler._batch),
    (r"/large/(\w+)", _Handler._store),
    (rf"/api/models/{NAME}/commit/([\w.-]+)", _Handler._commit),
)
