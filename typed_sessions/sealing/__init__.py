"""From payload to the text of a cookie, and back if the text is genuine. Nothing else takes a sealed text apart.

`base` has the Protocol and what holds for every sealer, `signed` the format of Quart and Flask, `encrypted` the one
that hides its payload, `parts` what both are made of, `keys` what signs, `base64url` their base64, `set_cookie` the
header around a text. `core`, the adapters and `tools` use it.
"""

from typed_sessions.sealing.base import Clock, KeylessSealer, Sealer
from typed_sessions.sealing.keys import SecretKeys
from typed_sessions.sealing.set_cookie import SessionCookie
from typed_sessions.sealing.signed import SignedSealer

__all__ = ["Clock", "KeylessSealer", "Sealer", "SecretKeys", "SessionCookie", "SignedSealer"]
