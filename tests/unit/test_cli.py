"""The command `typed-sessions`."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from typed_sessions import SecureCookieSession, SecureCookieSessionInterface
from typed_sessions.sealing.encrypted import EncryptedSealer
from typed_sessions.sealing.keys import SecretKeys, key_id
from typed_sessions.sealing.signed import SignedSealer
from typed_sessions.serializers import TaggedJSONSerializer
from typed_sessions.stores import Lifetime, Record, WriteRequest, open_store
from typed_sessions.stores.identifiers import Identifier
from typed_sessions.tools.cli import main

KEY = "a secret key that is long enough"

FIRST = """
from attrs import define
from quart import Quart
from typed_sessions.quart import Sessions

@define
class Visitor:
    user_id: int | None = None
    visits: int = 0

def make_visitor() -> Visitor:
    return Visitor(visits=1)

class Shop:
    schema = Visitor

sessions = Sessions(Visitor)
"""
SECOND = FIRST.replace("visits: int = 0", 'visits: str = ""').replace("Visitor(visits=1)", 'Visitor(visits="1")')
WITH_SECRET = "from attrs", "from typing import Annotated\nfrom typed_sessions import Secret\nfrom attrs"
THIRD = FIRST.replace("visits: int = 0", "visits: int = 0\n    locale: str = 'en'")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, with a module `shop` in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setattr(sys, "path", [*sys.path])
    release(tmp_path, FIRST)
    return tmp_path


def release(project: Path, source: str) -> None:
    (project / "shop.py").write_text(source, encoding="utf-8")
    sys.modules.pop("shop", None)
    for cached in project.glob("__pycache__/*"):
        cached.unlink()


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_a_schema_is_locked_and_checked(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lock", "shop:Visitor"]) == 0
    assert printed(capsys) == "locked shop:Visitor: 2 fields, at most 232 bytes\n"
    assert main(["check"]) == 0
    assert printed(capsys) == "shop:Visitor: nothing is lost\n"
    release(project, THIRD)
    assert main(["check"]) == 1
    assert "outgrows           Set-Cookie: the cookie has no bound: locale" in printed(capsys)


def test_a_serializer_of_the_project_is_found_where_the_command_runs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "own_format.py").write_text("import json as SERIALIZER\n", encoding="utf-8")
    assert main(["lock", "shop:Visitor", "--serializer", "own_format:SERIALIZER"]) == 0
    assert main(["check", "--serializer", "own_format:SERIALIZER", "--max-cookie-size", "0"]) == 0
    assert "nothing is lost" in printed(capsys)
    sys.modules.pop("own_format")


@pytest.mark.parametrize("size", ["-1", "many"])
def test_a_limit_is_a_number_of_bytes(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["check", "--max-cookie-size", size])
    assert stopped.value.code == 2
    assert "--max-cookie-size" in capsys.readouterr().err


def test_what_a_deploy_would_lose_fails_until_it_is_accepted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["lock", "shop:Visitor"])
    release(project, SECOND)
    printed(capsys)
    assert main(["check", "shop:Visitor"]) == 1
    lines = printed(capsys).splitlines()
    assert lines[0] == "shop:Visitor: losses: 3"
    assert "  resets             visits: all stored values do not fit str" in lines
    assert lines[-1] == "  To accept this: typed-sessions lock shop:Visitor"
    main(["lock", "shop:Visitor"])
    assert main(["check", "shop:Visitor"]) == 0


def test_a_check_is_there_for_programs_too(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["lock", "shop:Visitor"])
    release(project, SECOND)
    printed(capsys)
    assert main(["check", "--json", "--on-bad-field", "session"]) == 1
    assert json.loads(printed(capsys))["shop:Visitor"][0] == {
        "effect": "refuses",
        "loses": True,
        "place": "visits",
        "text": "all stored values do not fit str",
    }


def test_a_cookie_past_the_limit_fails(project: Path) -> None:
    main(["lock", "shop:Visitor"])
    release(project, FIRST.replace("visits: int = 0", "visits: int = 0\n    more: tuple[int, int] = (0, 0)"))
    assert main(["check"]) == 0
    assert main(["check", "--max-cookie-size", "250"]) == 1


@pytest.mark.parametrize("path", ["shop:sessions", "shop:make_visitor", "shop:sessions.schema"])
def test_a_sessions_object_a_function_and_a_schema_can_be_locked(path: str) -> None:
    assert main(["lock", path]) == 0
    assert main(["check", path]) == 0


def test_several_schemas_share_a_file_and_one_is_renewed_alone(project: Path) -> None:
    main(["lock", "shop:Visitor", "shop:sessions", "--file", "locks.json"])
    release(project, SECOND)
    main(["lock", "shop:sessions", "--file", "locks.json"])
    assert main(["check", "shop:sessions", "--file", "locks.json"]) == 0
    assert main(["check", "--file", "locks.json"]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["lock", "shop"], '"shop" has no colon', id="no-colon"),
        pytest.param(["lock", "gone:Visitor"], "cannot be imported: ModuleNotFoundError", id="no-module"),
        pytest.param(["lock", "shop:Gone"], "cannot be imported: AttributeError", id="no-attribute"),
        pytest.param(["lock", "shop:Quart"], "cannot be the schema of a session", id="no-schema"),
        pytest.param(["lock", "shop:Visitor", "--serializer", "yaml"], 'no serializer "yaml"', id="no-serializer"),
        pytest.param(["lock", "shop:Visitor", "--file", "no/such"], "cannot be written", id="no-folder"),
        pytest.param(["check"], "locks nothing; begin with", id="nothing-locked"),
        pytest.param(["check", "shop:Visitor"], "is not in typed_sessions.lock.json", id="not-locked"),
        pytest.param(["inspect", "a.b.c", "--digest", "crc"], "--digest: hashlib here has no digest", id="no-digest"),
    ],
)
def test_a_command_that_cannot_run_says_why(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("typed-sessions: ")
    assert said in captured.err


class App:
    def __init__(self, key: str | bytes) -> None:
        self.config = {"SECRET_KEY": key}


def cookie(key: str | bytes = KEY) -> str:
    interface = SecureCookieSessionInterface(serializer=TaggedJSONSerializer(), clock=lambda: 1_795_000_000.0)
    session = SecureCookieSession()
    session.update({"user_id": 7, "when": datetime(2026, 1, 2, tzinfo=UTC), "raw": b"\xff", "pair": (1, "\x1b[31m")})
    return interface.seal(App(key), session)


def test_a_cookie_is_verified_with_the_key_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SECRET_KEY", KEY)
    assert main(["inspect", cookie()]) == 0
    assert printed(capsys).splitlines() == [
        "format     tagged-json",
        "sealed     2026-11-18 11:06:40+00:00",
        f"size       {len(cookie())} bytes; 110 bytes of contents",
        "signature  verified",
        "contents",
        "  'user_id': 7",
        "  'when': datetime.datetime(2026, 1, 2, 0, 0, tzinfo=datetime.timezone.utc)",
        r"  'raw': b'\xff'",
        r"  'pair': (1, '\x1b[31m')",
    ]


def test_an_encrypted_cookie_is_shown_to_who_has_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options: Any = {"cookie_name": "shop", "lifetime": timedelta(1), "leeway": timedelta(), "room": 4_000}
    sealer = EncryptedSealer(SecretKeys(KEY), salt="cookie-session", clock=lambda: 1_795_000_000.0, **options)
    text = sealer.seal(b'{"user_id":7}')
    assert main(["inspect", text]) == 0
    locked = printed(capsys)
    assert f"encrypted  with the key {key_id(KEY.encode())}, which it takes" in locked
    assert "user_id" not in locked
    monkeypatch.setenv("SECRET_KEY", KEY)
    assert main(["inspect", text]) == 1
    assert "--cookie-name" in printed(capsys)
    assert main(["inspect", f"Set-Cookie: shop={text}; Path=/", "--cookie-name", "shop"]) == 0
    assert printed(capsys).splitlines() == [
        "format     tagged-json",
        "sealed     2026-11-18 11:06:40+00:00",
        f"size       {len(text)} bytes; 13 bytes of contents",
        "signature  verified",
        f"encrypted  with the key {key_id(KEY.encode())}",
        "contents",
        "  'user_id': <secret>",
        "--schema module:Class shows what is no Secret, and --secrets all.",
    ]
    assert main(["inspect", "--json", text, "--cookie-name", "shop", "--secrets"]) == 0
    shown = json.loads(printed(capsys))
    assert (shown["key_id"], shown["contents"]) == (key_id(KEY.encode()), {"user_id": 7})
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    assert main(["inspect", text]) == 2
    assert "typed_sessions[encryption]" in capsys.readouterr().err


def test_inspect_shows_no_secret_unless_it_is_told_to(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release(project, FIRST.replace("visits: int = 0", "visits: Annotated[int, Secret] = 0").replace(*WITH_SECRET))
    monkeypatch.setenv("SECRET_KEY", KEY)
    ages: Any = {"lifetime": timedelta(1), "leeway": timedelta(), "clock": lambda: 1_795_000_000.0}
    keys, salt, payload = SecretKeys(KEY), "cookie-session", b'{"user_id":7,"visits":12345}'
    encrypted = EncryptedSealer(keys, salt=salt, cookie_name="session", room=4_000, **ages).seal(payload)
    signed = SignedSealer(keys, salt=salt, **ages).seal(payload)
    for text, arguments, is_shown in [
        (encrypted, [], False),
        (encrypted, ["--schema", "shop:Visitor"], False),
        (encrypted, ["--secrets"], True),
        (encrypted, ["--schema", "shop:Visitor", "--secrets"], True),
        (signed, [], True),  # whoever has it can read it
        (signed, ["--schema", "shop:Visitor"], False),
        (signed, ["--schema", "shop:sessions", "--secrets"], True),
    ]:
        for form in ([], ["--json"]):
            assert main(["inspect", text, *arguments, *form]) == 0
            shown = printed(capsys)
            assert ("12345" in shown) is is_shown, arguments
            assert ("<secret>" in shown) is not is_shown
    assert main(["inspect", encrypted, "--schema", "shop:Visitor"]) == 0
    assert "'user_id': 7" in printed(capsys)
    assert main(["inspect", encrypted, "--schema", "shop:None"]) == 2


def test_a_field_that_becomes_secret_is_told_where_cookies_are_only_signed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = FIRST.replace("visits: int = 0", "visits: Annotated[int, Secret] = 0").replace(*WITH_SECRET)
    main(["lock", "shop:Visitor"])
    release(project, secret)
    printed(capsys)
    for arguments in ([], ["--encryption", "read"], ["--encryption", "off"]):
        assert main(["check", *arguments]) == 1
        assert "refuses            visits: is a Secret now; the application does not start" in printed(capsys)
    for arguments in (["--encryption", "on"], ["--store"], ["--store", "--encryption", "read"]):
        assert main(["check", *arguments]) == 0
        assert "keeps              visits: is a Secret now" in printed(capsys)
    assert main(["lock", "shop:Visitor"]) == 0
    assert '"visits": "Annotated[int, Secret] = 0"' in (project / "typed_sessions.lock.json").read_text()
    printed(capsys)
    assert main(["check"]) == 0
    assert printed(capsys) == "shop:Visitor: nothing is lost\n"
    release(project, FIRST)
    assert main(["check"]) == 0
    assert "keeps              visits: is no Secret any more" in printed(capsys)


def test_an_encrypted_cookie_is_longer_and_one_of_a_store_does_not_grow(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = dict[str, int]()
    for encryption in ("off", "read", "on"):
        assert main(["lock", "shop:Visitor", "--encryption", encryption]) == 0
        sizes[encryption] = int(printed(capsys).split()[-2])
    assert sizes["read"] == sizes["off"] < sizes["on"]
    assert sizes["on"] - sizes["off"] in (14, 15)
    main(["lock", "shop:Visitor"])
    limit = ["--max-cookie-size", str(sizes["off"])]
    for arguments, status in [([], 0), (["--encryption", "on"], 1), (["--encryption", "on", "--store"], 0)]:
        printed(capsys)
        assert main(["check", *limit, *arguments]) == status
        shown = printed(capsys)
        assert (f"the cookie may take {sizes['on']} bytes" in shown) is bool(status)
    assert main(["check", "--max-cookie-size", "9", "--store"]) == 0
    assert "Set-Cookie" not in printed(capsys)


def test_the_variable_may_have_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "another one")
    assert main(["inspect", cookie(), "--key-variable", "SHOP_KEY"]) == 1
    monkeypatch.setenv("SHOP_KEY", KEY)
    assert main(["inspect", cookie(), "--key-variable", "SHOP_KEY"]) == 0


def test_the_key_may_be_bytes_that_are_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    key = b"\xff\xfe not UTF-8, and a long one"
    monkeypatch.setenv("SECRET_KEY", os.fsdecode(key))
    assert main(["inspect", cookie(key)]) == 0


def test_unverified_contents_are_marked_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", cookie()]) == 0
    text = printed(capsys)
    assert "signature  NOT VERIFIED" in text
    assert "contents, NOT VERIFIED: anybody may have written them" in text


def test_a_wrong_key_is_refused_and_its_contents_marked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SECRET_KEY", "another one")
    assert main(["inspect", cookie()]) == 1
    text = printed(capsys)
    assert "refused    no configured key signed it" in text
    assert "contents, NOT VERIFIED" in text


def test_json_keeps_unverified_contents_apart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    contents = {"user_id": 7, "when": "2026-01-02T00:00:00+00:00", "raw": "/w==", "pair": [1, "\x1b[31m"]}
    main(["inspect", "--json", cookie()])
    unverified = json.loads(printed(capsys))
    assert unverified["verified"] is False
    assert unverified["unverified_contents"] == contents
    assert "contents" not in unverified
    monkeypatch.setenv("SECRET_KEY", KEY)
    main(["inspect", "--json", cookie()])
    assert json.loads(printed(capsys)) == {
        "verified": True,
        "key_id": None,
        "refused": None,
        "formats": ["tagged-json"],
        "sealed_at": "2026-11-18T11:06:40+00:00",
        "size": len(cookie()),
        "payload_size": 110,
        "compressed": False,
        "contents": contents,
    }


class Terminal(io.StringIO):
    """What standard input is for somebody who types."""

    def isatty(self) -> bool:  # type: ignore[explicit-override]  # a stand-in
        return True


def test_the_key_is_asked_for_where_somebody_can_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    answers = iter([KEY, ""])

    def ask(prompt: str) -> str:
        asked.append(prompt)
        for answer in answers:
            return answer
        raise EOFError  # Ctrl+D

    monkeypatch.setattr("getpass.getpass", ask)
    monkeypatch.setattr(sys, "stdin", Terminal())
    main(["inspect", cookie()])
    assert "signature  verified" in printed(capsys)
    for _ in range(2):
        main(["inspect", cookie()])
        assert "signature  NOT VERIFIED" in printed(capsys)
    assert len(asked) == 3
    assert "SECRET_KEY is not set" in asked[0]


@pytest.mark.parametrize("copied", ["{}", "session={}", "session={}; HttpOnly; Path=/", ' "{}" \n'])
def test_a_cookie_may_be_copied_with_its_name_or_piped(
    copied: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SECRET_KEY", KEY)
    assert main(["inspect", copied.format(cookie())]) == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(copied.format(cookie())))
    assert main(["inspect", "-"]) == 0
    assert printed(capsys).count("signature  verified") == 2


def test_what_is_no_cookie_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "nothing"]) == 1
    text = printed(capsys)
    assert "format     unknown" in text
    assert "sealed     at no time that can be read" in text
    assert "refused    it does not have the form of a sealed session" in text


@pytest.mark.parametrize(
    "command", [[sys.executable, "-m", "typed_sessions"], [str(Path(sys.executable).parent / "typed-sessions")]]
)
def test_the_command_is_installed_and_a_module(command: list[str], project: Path) -> None:
    run = subprocess.run([*command, "lock", "shop:Visitor"], capture_output=True, text=True, check=False, cwd=project)  # noqa: S603 -- ours
    assert (run.returncode, run.stderr) == (0, "")
    assert (project / "typed_sessions.lock.json").exists()
    run = subprocess.run([*command, "check"], capture_output=True, text=True, check=False, cwd=project)  # noqa: S603 -- ours
    assert (run.returncode, run.stdout) == (0, "shop:Visitor: nothing is lost\n")


@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [(["--help"], ""), (["keys", "list"], ""), (["keys", "list"], "1")],
    ids=["at the end, by argparse", "at the end", "at once"],
)
def test_a_pipe_that_nobody_reads_ends_a_command_without_a_word(arguments: list[str], unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as output:
        run = subprocess.run(  # noqa: S603 -- ours
            [sys.executable, "-m", "typed_sessions", *arguments],
            stdout=output,
            stderr=subprocess.PIPE,
            check=False,
            env={**os.environ, "SECRET_KEY": KEY, "PYTHONUNBUFFERED": unbuffered},
        )
    assert (run.returncode, run.stderr) == (141, b"")


def test_no_option_takes_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["inspect", "--help"])
    options = {word.strip(",") for word in printed(capsys).split() if word.startswith("--")}
    assert options == {"--help", "--key-variable", "--salt", "--digest", "--serializer", "--json", "--cookie-name"} | {
        "--schema",
        "--secrets",
    }


def test_purge_deletes_what_has_expired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path / 'sessions.db'}"

    async def fill() -> None:
        store = open_store(url)
        for key, days in (("a" * 64, 0), ("b" * 64, 0), ("c" * 64, 1)):
            await store.create(key, WriteRequest(b"", Lifetime(timedelta(days=days))))
        await store.close()

    asyncio.run(fill())
    assert [main(["purge", url]), main(["purge", url])] == [0, 0]
    assert capsys.readouterr().out == "deleted 2 expired sessions\ndeleted 0 expired sessions\n"


def test_purge_takes_the_url_of_an_application_with_its_namespace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sessions.db"
    asyncio.run(expire_one(f"sqlite:///{path}?namespace=blog"))
    assert main(["purge", f"sqlite:///{path}?namespace=shop"]) == 0  # they share the store
    assert capsys.readouterr().out == "deleted 1 expired session\n"
    assert [other.name for other in tmp_path.glob("sessions*")] == ["sessions.db"]


def test_purge_takes_the_url_of_an_application_with_its_table(
    postgresql_url: str, postgresql_table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{postgresql_url}{'&' if '?' in postgresql_url else '?'}namespace=shop&table={postgresql_table}"
    asyncio.run(expire_one(url))
    asyncio.run(expire_one(f"{url}_of_another"))
    assert [main(["purge", url]), main(["purge", url])] == [0, 0]
    assert capsys.readouterr().out == "deleted 1 expired session\ndeleted 0 expired sessions\n"


async def expire_one(url: str) -> None:
    store = open_store(url)
    assert isinstance(await store.create("a" * 64, WriteRequest(b"", Lifetime(timedelta(0)))), Record)
    await store.close()


@pytest.mark.parametrize(
    "query", ["namespace=a:b", "namespace=a&namespace=b", "table=a.b.c", "table=", "sslmod=require"]
)
def test_purge_tells_no_password_of_a_url_that_is_wrong(query: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["purge", f"postgresql://me:hunter2@localhost/web?{query}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("typed-sessions: ")
    assert "hunter2" not in error


def test_purge_says_what_keeps_it_from_the_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["purge", f"sqlite:///{tmp_path / 'missing' / 'sessions.db'}"]) == 2
    assert main(["purge", "mysql://"]) == 2
    error = capsys.readouterr().err
    assert "typed-sessions: " in error
    assert "begins with sqlite:///" in error


@pytest.mark.parametrize("query", ["", "?namespace=shop", "?timeout=1"])
def test_purge_makes_no_file_of_a_path_that_is_misspelt(
    tmp_path: Path, query: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sessoins of the shop.db"
    assert main(["purge", f"sqlite:///{quote(str(path))}{query}"]) == 2
    assert capsys.readouterr().err == f"typed-sessions: there is no file {path}\n"
    assert not path.exists()


@pytest.mark.parametrize(
    "url",
    ["redis://me:hunter2@127.0.0.1:1/0", "unix:///nowhere/valkey.sock", "postgresql://me:hunter2@127.0.0.1:1/web"],
    ids=["redis", "unix", "postgresql"],
)
def test_purge_says_that_a_server_is_not_there(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["purge", url]) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("typed-sessions: ")
    assert "hunter2" not in error


def test_purge_of_redis_says_that_there_is_nothing_to_delete(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["purge", redis_url]) == 0
    assert capsys.readouterr().out == "deleted 0 expired sessions\n"


def test_purge_has_nothing_to_do_with_the_memory_of_another_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["purge", "memory://"]) == 2
    assert "in the memory of the application" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [([], "SESSION_STORE"), (["--store-variable", "QUART_SESSION_STORE"], "QUART_SESSION_STORE")],
    ids=["by default", "named"],
)
def test_purge_takes_the_url_from_the_environment(
    tmp_path: Path,
    arguments: list[str],
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("SESSION_STORE", raising=False)
    assert main(["purge", *arguments]) == 2
    assert f"set the environment variable {variable}\n" in capsys.readouterr().err
    url = f"sqlite:///{tmp_path / 'sessions.db'}"
    asyncio.run(expire_one(url))
    monkeypatch.setenv(variable, url)
    assert main(["purge", *arguments]) == 0
    assert capsys.readouterr().out == "deleted 1 expired session\n"


def test_purge_takes_the_name_of_a_table(
    postgresql_url: str, postgresql_table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = postgresql_table.partition(".")[0]
    url, table = f"{postgresql_url}{'&' if '?' in postgresql_url else '?'}", f"{schema}.of the shop & more"
    asyncio.run(expire_one(f"{url}table={quote(table)}"))
    assert main(["purge", f"{url}namespace=shop", "--table", table]) == 0
    assert capsys.readouterr().out == "deleted 1 expired session\n"
    assert main(["purge", f"{url}table={quote(table)}", "--table", table]) == 0
    assert main(["purge", f"{url}table={schema}.other", "--table", table]) == 2
    assert "names another table" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["redis://", "sqlite:///sessions.db", "memory://"])
def test_purge_takes_a_table_of_postgresql_only(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["purge", url, "--table", "web.sessions"]) == 2
    assert "only the URL of a PostgreSQL session store" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["", "07af"], ids=["no place", "a place"])
@pytest.mark.parametrize("copied", ["{}", "session={}; HttpOnly; Path=/"], ids=["value", "attributes"])
def test_inspect_says_of_an_identifier_what_it_is(
    place: str, copied: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)  # and yet no key is asked for
    text = Identifier.new(place).text
    assert main(["inspect", copied.format(text)]) == 0
    out = capsys.readouterr().out
    assert "identifier of a session on the server" in out
    assert "NOT VERIFIED" not in out
    assert main(["inspect", "--json", copied.format(text)]) == 0
    assert json.loads(capsys.readouterr().out) == {"on_server": True, "size": len(text)}


@pytest.mark.parametrize("start", ["-", "--", "-h", "--h", "--json"])
@pytest.mark.parametrize("copied", ["{}", "session={}"])
def test_inspect_takes_a_value_that_begins_with_a_dash(
    copied: str, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = start + Identifier.new("").text[len(start) :]
    assert main(["inspect", "--json", copied.format(text)]) == 0
    assert json.loads(capsys.readouterr().out) == {"on_server": True, "size": len(text)}
    with pytest.raises(SystemExit, match="0"):
        main(["inspect", "-h"])
