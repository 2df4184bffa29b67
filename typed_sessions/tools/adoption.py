"""What a deploy would adopt of another library's sessions: a look at a sample of them, field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import define, field

from typed_sessions.codec.codec import MAX_PAYLOAD, Codec, OnBadField
from typed_sessions.core.predecessors import Inheritance, succession_of
from typed_sessions.errors import SerializationError
from typed_sessions.reports import FieldReset, Reason, Refused
from typed_sessions.schema.schema import Schema
from typed_sessions.serializers.base import AnySerializer

__all__ = ["Survey", "survey"]

_MOST_KEYS: Final = 50
"""How many undeclared keys are named: a program may have made them up, one for each visitor."""


@define(weakref_slot=False)
class Survey:
    """What becomes of the sessions of a sample. It names keys and types, and no visitor's values."""

    sessions: int = 0
    adopted: int = 0
    """How many are opened, with or without a field that is reset."""
    fields: dict[str, Counter[str]] = field(factory=dict[str, Counter[str]])
    """By field: how often it `fits`, and how often it is reset for it `is not` of its type, there."""
    undeclared: Counter[str] = field(factory=Counter[str])
    """The keys that are kept beside the class, and how many sessions have them."""
    lossy: Counter[str] = field(factory=Counter[str])
    """Those of them that would read back as other values, and how many sessions have them."""
    unwritable: Counter[str] = field(factory=Counter[str])
    """What the format cannot hold, and in how many sessions. They are refused."""
    refused: Counter[Reason] = field(factory=Counter[Reason])

    @property
    def loses(self) -> bool:
        """True if any session is refused, any field reset, or any value would read back as another one."""
        resets = any(counts.keys() - {"fits"} for counts in self.fields.values())
        return self.adopted < self.sessions or resets or len(self.lossy) > 0

    def as_json(self) -> Mapping[str, object]:
        """Return the same as JSON has it."""
        return {
            "sessions": self.sessions,
            "adopted": self.adopted,
            "fields": {name: dict(counts) for name, counts in self.fields.items()},
            "undeclared": dict(self.undeclared.most_common(_MOST_KEYS)),
            "lossy": dict(self.lossy.most_common(_MOST_KEYS)),
            "unwritable": dict(self.unwritable.most_common(_MOST_KEYS)),
            "refused": {reason.value: count for reason, count in self.refused.items()},
        }

    def as_text(self) -> str:
        """Return the same for people."""
        lines = [f"{self.adopted} of {self.sessions} sessions would be adopted"]
        for name, counts in self.fields.items():
            fits = counts["fits"]
            lines += [f"  {name:<20} fits in {fits}"] if fits or len(counts) < 1 else []
            lines += [f"  {name:<20} reset in {count}: {what}" for what, count in counts.items() if what != "fits"]
        lines += [
            f"  {key:<20} is not declared: kept in {count}" for key, count in self.undeclared.most_common(_MOST_KEYS)
        ]
        lines += [
            f"  {key:<20} would read back as another value in {count}"
            for key, count in self.lossy.most_common(_MOST_KEYS)
        ]
        lines += [f"  {what} in {count}" for what, count in self.unwritable.most_common(_MOST_KEYS)]
        lines += [f"  refused              {count}: {reason.value}" for reason, count in self.refused.items()]
        return "\n".join(lines)


def survey(
    schema: Schema[Any], sample: Iterable[Inheritance | Refused], on_bad_field: OnBadField, serializer: AnySerializer
) -> Survey:
    """Return what becomes of a sample. Nothing is written.

    Args:
        schema: what a session holds.
        sample: what another library has written.
        on_bad_field: what the application does about a value that does not fit.
        serializer: the application's, by which it would be written.
    """
    found = Survey(fields={name: Counter() for name in schema.fields})
    reader, writer = succession_of((), schema, MAX_PAYLOAD, in_cookies=False), Codec(schema, serializer)
    for each in sample:
        found.sessions += 1
        read = each if isinstance(each, Refused) else reader.read(each, on_bad_field, permanent=False)
        if isinstance(read, Refused):
            found.refused[read.reason] += 1
            continue
        try:
            encoded = writer.write(read.contents)
        except SerializationError as error:
            found.unwritable[str(error)] += 1
            found.refused[Reason.UNREADABLE] += 1
            continue
        found.adopted += 1
        found.lossy.update(encoded.lossy_keys)
        for report in read.reports:
            if isinstance(report, FieldReset):
                found.fields[report.field][f"{report.field}{report.path} is not {report.expected}"] += 1
        for key in read.contents.keys():  # noqa: SIM118 -- no mapping
            if key in found.fields:
                found.fields[key]["fits"] += 1
            elif key != "_permanent":
                found.undeclared[key] += 1
    return found
