"""The signals that applications send of their sessions, by blinker, which comes with Flask and Quart."""

from __future__ import annotations

from typing import Final

from blinker import Namespace

from typed_sessions.core.framework import ConfiguredApp
from typed_sessions.reports import FieldReset, Refused, Report, log_report

__all__ = ["field_reset", "log_and_signal", "session_refused"]

_signals: Final = Namespace()

session_refused: Final = _signals.signal("session-refused")
"""Sent by the app, with `report: Refused`, when a session cookie is refused."""

field_reset: Final = _signals.signal("session-field-reset")
"""Sent by the app, with `report: FieldReset`, when a stored value no longer fits its field."""


def log_and_signal(app: ConfiguredApp, report: Report) -> None:
    """Write a report to the log, and tell who has asked for such reports of the application."""
    log_report(report)
    match report:
        case Refused():
            session_refused.send(app, report=report)
        case FieldReset():
            field_reset.send(app, report=report)
        case _:
            pass
