"""`RedisStore`: records in Redis or Valkey."""

from typed_sessions.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
