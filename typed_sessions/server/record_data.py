"""`RecordData`: the data of records, while nobody has asked more of a session than that."""

from __future__ import annotations

from typing import Any, Final, Generic, cast

from attrs import frozen
from typing_extensions import TypeVar

from typed_sessions.codec.codec import MAX_PAYLOAD
from typed_sessions.codec.generated import PERMANENT_KEY, Generated
from typed_sessions.codec.loaded_data import LoadedData, LoadedKeys
from typed_sessions.core.lifecycle import Write
from typed_sessions.core.rules import Rules, data_path
from typed_sessions.core.session import SecureCookieSession, state_of
from typed_sessions.core.session_request import data_of, note_data_saved, source_of
from typed_sessions.core.state import FAILED
from typed_sessions.errors import StoreUnavailableError
from typed_sessions.schema.narrowing import is_dict
from typed_sessions.server.context import StoredContext
from typed_sessions.server.records import Attempt, Parts, name_of, payload_in
from typed_sessions.server.repository import Located, Repository, subject_of
from typed_sessions.server.runtime import Runtime
from typed_sessions.stores.base import Conflict, Record, Updated, WriteRequest

__all__ = ["RecordData", "record_data_of"]

S = TypeVar("S", default=dict[str, object])

_LONGEST_IDENTIFIER: Final = 64
"""In characters, and some more."""


@frozen(eq=False)
class RecordData(Generic[S]):
    """Loads and saves it: a change is written if the record is as it was. Everything else is for `Saving`."""

    _path: Generated
    """What reads and writes the data."""
    _rules: Rules[S]
    _repository: Repository
    _runtime: Runtime
    _name: bytes
    """Of the format."""
    _most: int
    """How long a payload may be, in bytes."""

    def load_data(self, context: object, made: list[Any]) -> Any:
        """Take the place of `Rules.load_data`. The request is a `StoredContext`."""
        located = context.located if isinstance(context, StoredContext) else None
        if located is None:
            return None
        payload = payload_in(located.record.payload, self._name)
        if payload is None or len(payload) > self._most:
            return None
        loaded = self._path.data_in(payload, "")
        if loaded is None or (loaded.raws is not None and self._rules.settings.extras.allowed is not None):
            return None
        made.append(loaded)
        return made[0]

    def is_due(self, context: object) -> bool:
        """Take the place of `Rules.is_due`."""
        return isinstance(context, StoredContext) and context.is_due

    def header_of(self, _loaded: object) -> None:
        """Take the place of `Rules.header_of`: the data is not in the cookie."""

    async def save(self, session: SecureCookieSession[S]) -> str | None:
        """Have the store keep the data of a session as it is now, if nobody has asked more of it than that.

        Returns:
            The text of the `Set-Cookie` header, empty if none is due; None, with nothing done, where it takes more.

        Raises:
            StoreUnavailableError: the store did not answer. The session has failed to be saved.
        """
        loaded, context = data_of(session), source_of(session)
        if loaded is None or not isinstance(context, StoredContext):
            return None
        try:
            text = await self._saved(loaded, cast("StoredContext[S]", context))
        except BaseException as error:
            if isinstance(error, StoreUnavailableError) and not self._rules.settings.raise_on_store_error:
                return None
            state_of(session).progress = FAILED
            raise
        if text is not None:
            note_data_saved(session, loaded)
        return text

    async def _saved(self, loaded: LoadedData[S] | LoadedKeys[S], context: StoredContext[S]) -> str | None:
        rules, located, payload = self._rules, context.located, self._path.payload_of(loaded)
        if located is None or payload is None or len(payload) > self._most:
            return None
        if payload is loaded.source:
            return None if rules.refresh_each_request and context.is_due else ""
        if self._is_permanent_no_more(loaded) or not self._is_still_of(located.record.subject, loaded.data):
            return None
        turn = self._repository.take_turn(located.key, self._runtime)
        try:
            if turn.takers > 1:  # its turn comes after another one's, with which it will have to be merged
                return None
            write = self._requested(payload, context, located)
            del payload  # debugging pages show locals
            async with turn.lock:  # at once: who comes now waits for this one
                updated = await context.deadline.spend(self._updated(write, context, located))
                if isinstance(updated, Record):
                    turn.latest = updated
        finally:
            self._repository.leave_turn(turn)
        if not isinstance(updated, Record):
            context.newer = updated.present if isinstance(updated, Conflict) else None
            return None
        context.located = Located(located.identifier, located.key, updated)
        loaded.written = payload_in(write.payload, self._name) or b""
        if not loaded.permanent:
            return ""
        context.cookie_due = Write  # also if it is saved once more, with another response
        return rules.cookie.written(located.identifier.text, rules.clock() + rules.lifetime_seconds)

    def _requested(self, payload: bytes, context: StoredContext[S], located: Located) -> WriteRequest:
        record, repository = located.record, self._repository
        attempt = context.attempt = Attempt(located.identifier, int(self._rules.clock()))
        kept = Parts(self._name, attempt.token, payload).packed(attempt.stamp, located.key, self._rules)
        return WriteRequest(kept, repository.lifetime, record.subject, device=record.device)

    async def _updated(self, write: WriteRequest, context: StoredContext[S], located: Located) -> Updated:
        updated = await self._repository.store.update(located.key, located.record.version, write)
        context.attempt = None
        return updated

    @staticmethod
    def _is_permanent_no_more(loaded: LoadedData[S] | LoadedKeys[S]) -> bool:
        """Return True if the browser may have a cookie that outlives it, which it is to have no more."""
        return isinstance(loaded, LoadedKeys) and not loaded.permanent and PERMANENT_KEY.encode() in loaded.source

    def _is_still_of(self, subject: str | None, data: object) -> bool:
        """Return True if the data says that the session is its subject's, in the present namespace."""
        schema = self._rules.schema
        name = schema.subject
        if name is None:
            return subject is None
        value = data.get(name) if is_dict(data) else getattr(data, name, None)
        is_stored = is_dict(data) or not schema.fields[name].is_default(value)
        stored = {name: value} if is_stored else {}
        return subject == self._repository.subjects_of(subject_of(schema, stored))[0]


def record_data_of(rules: Rules[S], repository: Repository, runtime: Runtime) -> RecordData[S] | None:
    """Return that of an application's records; None if there is always more to know than that.

    What is encrypted, or holds secrets, takes more care, and so does what a subclass has its own word on.
    """
    path = data_path(rules)
    longest = rules.cookie.written("-" * _LONGEST_IDENTIFIER, 0)
    is_hidden = rules.record_keys is not None or bool(rules.schema.secrets)
    if path is None or is_hidden or len(longest) > rules.max_cookie_size:
        return None
    name, most = name_of(rules.formats[0]), rules.settings.max_payload or MAX_PAYLOAD
    return RecordData(path, rules, repository, runtime, name, most)
