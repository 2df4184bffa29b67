"""The command `typed-sessions keys`."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from typed_sessions.core.settings import read_settings
from typed_sessions.sealing.key_file import keys_in
from typed_sessions.sealing.keys import key_id
from typed_sessions.tools.cli import main

OLD, OLDER = "old: a key that is long enough", "older: a key that is long enough"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if "SECRET_KEY" in name]:
        monkeypatch.delenv(name)


def ran(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    """Return what a command prints: errors, in one line, if it cannot run."""
    assert main(["keys", *arguments]) == status
    printed = capsys.readouterr()
    if status == 2:
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        return printed.err
    assert printed.err == ""
    return printed.out


def test_a_new_key_is_a_line_for_an_environment(capsys: pytest.CaptureFixture[str]) -> None:
    comment, line = ran(capsys, "new").splitlines()
    assert comment.startswith("# ")
    found = re.fullmatch(r"SECRET_KEY=([A-Za-z0-9][\w-]{42})", line)
    assert found
    assert key_id(found[1].encode()) in comment
    assert read_settings({"SECRET_KEY": found[1]}).keys is not None
    assert ran(capsys, "new", "--key-variable", "SHOP_SECRET_KEY").splitlines()[1].startswith("SHOP_SECRET_KEY=")
    assert ran(capsys, "new") != ran(capsys, "new")


def test_a_new_key_is_made_for_programs_and_for_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = json.loads(ran(capsys, "new", "--json"))
    assert made["env"] == f"SECRET_KEY={made['key']}"
    assert made["id"] == key_id(made["key"].encode())
    path = tmp_path / "keys"
    path.write_text(OLD, encoding="utf-8")
    with path.open("a", encoding="utf-8") as file:  # as `keys rotate` says
        file.write("\n" + ran(capsys, "new", "--key-only"))
    assert keys_in(str(path))[0] == OLD
    assert len(keys_in(str(path))) == 2


def test_keys_are_listed_by_their_ids(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET_KEY", OLD)
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", json.dumps([OLDER]))
    ids = [key_id(OLD.encode()), key_id(OLDER.encode())]
    assert ran(capsys, "list").splitlines() == [
        f"signs     {ids[0]}  30 bytes, SECRET_KEY",
        f"verifies  {ids[1]}  32 bytes, SECRET_KEY_FALLBACKS",
    ]
    monkeypatch.delenv("SECRET_KEY")
    monkeypatch.delenv("SECRET_KEY_FALLBACKS")
    path = tmp_path / "keys"
    path.write_text(f"{OLDER}\n{OLD}\n", encoding="utf-8")
    by_option = ran(capsys, "list", "--json", "--file", str(path))
    monkeypatch.setenv("SHOP_SECRET_KEY_FILE", str(path))
    assert ran(capsys, "list", "--json", "--key-variable", "SHOP_SECRET_KEY") == by_option
    assert [(key["id"], key["signs"], key["source"]) for key in json.loads(by_option)] == [
        (ids[0], True, str(path)),
        (ids[1], False, str(path)),
    ]


def test_weak_keys_are_found(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "short")
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", json.dumps([OLD, OLD]))
    short, *same = ran(capsys, "list", status=1).splitlines()
    assert "can be guessed" in short
    assert all("has the id of another one" in line for line in same)
    assert "guessed" in json.loads(ran(capsys, "list", "--json", status=1))[0]["weakness"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "no key is set: give --file, or set the environment variable SECRET_KEY or SECRET_KEY_FILE"),
        ({"SECRET_KEY": OLD, "SECRET_KEY_FALLBACKS": OLDER}, "SECRET_KEY_FALLBACKS must be a JSON list"),
        ({"SECRET_KEY": OLD, "SECRET_KEY_FALLBACKS": "{}"}, "SECRET_KEY_FALLBACKS must be a JSON list"),
        ({"SECRET_KEY": OLD, "SECRET_KEY_FALLBACKS": "[7]"}, "each of SECRET_KEY_FALLBACKS must be text"),
        ({"SECRET_KEY": OLD, "SECRET_KEY_FILE": "keys"}, "SECRET_KEY_FILE is set together with SECRET_KEY"),
        ({"SECRET_KEY": "*****"}, "nothing but asterisks"),
        ({"SECRET_KEY_FILE": "/nowhere/keys"}, "the file with the keys cannot be used: it is missing"),
    ],
)
def test_what_cannot_be_listed_is_said_in_one_line(
    variables: dict[str, str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    error = ran(capsys, "list", status=2)
    assert message in error
    assert OLD not in error
    assert OLDER not in error


def test_the_steps_of_a_rotation_have_ids_and_the_new_key_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Set SECRET_KEY=" in ran(capsys, "rotate")  # also where none is set yet
    monkeypatch.setenv("SECRET_KEY", OLD)
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", json.dumps([OLDER]))
    text = ran(capsys, "rotate")
    assert f"the old key (id {key_id(OLD.encode())})" in text
    assert f"after those that are there ({key_id(OLDER.encode())})" in text
    assert OLD not in text
    assert OLDER not in text
    assert text.index("On one machine") < text.index("In a fleet") < text.index("A key that has leaked")
    steps = json.loads(ran(capsys, "rotate", "--json"))
    assert steps["id"] == key_id(steps["key"].encode())
    assert f"SECRET_KEY={steps['key']}" in steps["one_machine"][0]
    first, second, third = steps["fleet"]
    assert "at the beginning of SECRET_KEY_FALLBACKS" in first
    assert f"SECRET_KEY={steps['key']}" in second
    assert "After PERMANENT_SESSION_LIFETIME" in third


def test_a_rotation_of_a_file_prints_no_key(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "the keys"
    path.write_text(f"{OLD}\n", encoding="utf-8")
    text = ran(capsys, "rotate", "--file", str(path))
    assert f"(echo; typed-sessions keys new --key-only) >> '{path}'" in text
    assert "first line" in text
    assert OLD not in text
    assert "cannot be used" in ran(capsys, "rotate", "--file", str(tmp_path / "none"), status=2)


def test_keys_alone_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["keys"])
    assert ended.value.code == 2
    assert "new|rotate|list" in capsys.readouterr().err
