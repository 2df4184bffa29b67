"""From payload to the text of a cookie, and back if the text is genuine.

`base` has the Protocol and what holds for every sealer, `signed` the format of Quart and Flask, `keys` what signs,
`base64url` their base64, and `set_cookie` the header around a text. Whoever opens, saves or inspects a session uses
them; nothing else takes a sealed text apart.
"""

from typed_sessions.sealing.base import Clock, KeylessSealer, Sealer
from typed_sessions.sealing.keys import SecretKeys
from typed_sessions.sealing.set_cookie import SessionCookie
from typed_sessions.sealing.signed import SignedSealer

__all__ = ["Clock", "KeylessSealer", "Sealer", "SecretKeys", "SessionCookie", "SignedSealer"]
