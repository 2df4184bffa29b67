"""What editors offer: asks three language servers for completions, and writes docs/maintainers/editors.md.

By hand: `python -m tests.typing.editors`. Each server speaks the Language Server Protocol over its standard streams, as
it does with an editor, and is asked at some places of a program, with and without generated stubs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from attrs import define, frozen

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "maintainers" / "editors.md"
_BEGIN: Final = "<!-- written by python -m tests.typing.editors -->"
_PATIENCE: Final = 60.0
"""Seconds that a server has to answer."""


@frozen
class Server:
    """A language server: how it is started."""

    name: str
    command: Sequence[str]


SERVERS: Final = (
    Server("basedpyright", ("basedpyright-langserver", "--stdio")),
    Server("ty", ("ty", "server")),
    Server("pyrefly", ("pyrefly", "lsp")),
)


@define
class Client:
    """The editor's end of a conversation."""

    to_server: IO[bytes]
    from_server: IO[bytes]
    _last_id: int = 0

    def notify(self, method: str, parameters: Mapping[str, Any]) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": parameters})

    def ask(self, method: str, parameters: Mapping[str, Any]) -> Any:
        """Return the result of a request. What the server asks meanwhile is answered with nothing."""
        self._last_id += 1
        self._send({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": parameters})
        while True:
            message = self._received()
            if "method" in message:
                if "id" in message:
                    self._send({"jsonrpc": "2.0", "id": message["id"], "result": self._answer(message)})
            elif message.get("id") == self._last_id:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]

    def _answer(self, message: Mapping[str, Any]) -> Any:
        """Return what an editor without settings answers: one empty value for each that is asked for."""
        if message["method"] == "workspace/configuration":
            return [None for _ in message["params"]["items"]]
        return None

    def _send(self, message: Mapping[str, Any]) -> None:
        body = json.dumps(message).encode()
        self.to_server.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.to_server.flush()

    def _received(self) -> dict[str, Any]:
        length = 0
        while line := self.from_server.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if not length:
            raise RuntimeError("the server has gone")
        message: dict[str, Any] = json.loads(self.from_server.read(length))
        return message


@contextmanager
def conversation(server: Server, folder: Path) -> Iterator[Client]:
    """Start a server for a folder, and end it afterwards."""
    program = Path(sys.executable).parent / server.command[0]
    with (
        subprocess.Popen(  # noqa: S603 -- the servers above
            [program, *server.command[1:]],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process
    ):
        if process.stdin is None or process.stdout is None:
            raise RuntimeError(f"{server.name} has no streams")
        client = Client(process.stdin, process.stdout)
        try:
            client.ask(
                "initialize",
                {
                    "processId": None,
                    "rootUri": folder.as_uri(),
                    "workspaceFolders": [{"uri": folder.as_uri(), "name": "project"}],
                    "capabilities": {"workspace": {"configuration": True, "workspaceFolders": True}},
                },
            )
            client.notify("initialized", {})
            yield client
        finally:
            process.kill()


def completions(server: Server, folder: Path, path: Path, place: str) -> list[str]:
    """Return what a server offers behind a text that a program has once, in its order."""
    text = path.read_text(encoding="utf-8")
    before = text[: text.index(place) + len(place)]
    position = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
    document = {"uri": path.as_uri(), "languageId": "python", "version": 1, "text": text}
    with conversation(server, folder) as client:
        client.notify("textDocument/didOpen", {"textDocument": document})
        result = client.ask("textDocument/completion", {"textDocument": {"uri": path.as_uri()}, "position": position})
    items: list[dict[str, Any]] = result["items"] if isinstance(result, dict) else result or []
    return [item["label"] for item in sorted(items, key=lambda item: item.get("sortText", item["label"]))]


PROGRAM: Final = '''"""A program in which an editor is asked what may follow."""

from attrs import define
from quart import Quart
from quart import session as quart_session

from typed_sessions.quart import Sessions


@define
class Visitor:
    user_id: int | None = None
    name: str = ""


app = Quart(__name__)
sessions = Sessions(Visitor, app)


def view() -> None:
    session = sessions.current
'''
PLACES: Final = ("session.data.", 'session["', "quart_session.data.", 'quart_session["')
_SHOWN: Final = 3
_CONFIGURATIONS: Final[Mapping[str, str]] = {
    "ty.toml": f'[environment]\npython = "{sys.prefix}"\nextra-paths = ["stubs"]\n',
    "pyrefly.toml": f'python-interpreter-path = "{sys.executable}"\nsite-package-path = ["stubs"]\n',
    "pyrightconfig.json": json.dumps(
        {"venvPath": str(Path(sys.prefix).parent), "venv": Path(sys.prefix).name, "stubPath": "stubs"}
    ),
}


def table() -> str:
    """Return in Markdown what each server offers at each place."""
    rows = [
        f"| behind | stubs | {' | '.join(server.name for server in SERVERS)} |",
        "| --- " * (len(SERVERS) + 2) + "|",
    ]
    for place in PLACES:
        for stubs in (False, True):
            with tempfile.TemporaryDirectory() as name:
                cells = [offered(server, Path(name), place, stubs=stubs) for server in SERVERS]
            rows.append(f"| `{place}` | {'yes' if stubs else 'no'} | {' | '.join(cells)} |")
    return "\n".join(rows)


def offered(server: Server, folder: Path, place: str, *, stubs: bool) -> str:
    """Return the first completions that a server offers behind a place, as text."""
    path = folder / "program.py"
    path.write_text(f"{PROGRAM}    {place}\n", encoding="utf-8")
    for name, text in _CONFIGURATIONS.items():
        (folder / name).write_text(text, encoding="utf-8")
    if stubs and not (folder / "stubs").exists():
        command = [sys.executable, "-m", "typed_sessions", "stubs", "program:Visitor"]
        path.write_text(PROGRAM, encoding="utf-8")
        subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603 -- ours
        path.write_text(f"{PROGRAM}    {place}\n", encoding="utf-8")
    labels = [label for label in completions(server, folder, path, f"\n    {place}") if not label.startswith("__")]
    return ", ".join(f"`{label}`" for label in labels[:_SHOWN]) or "nothing"


def main() -> None:
    """Write the table into the page."""
    intro, _, _ = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    PAGE.write_text(f"{intro}{_BEGIN}\n\n{table()}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
