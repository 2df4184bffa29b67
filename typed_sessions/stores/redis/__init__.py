"""`RedisStore`: records in Redis or Valkey, over redis-py. `stores` gives it out.

`store` has the operations, `script` what the server runs for them, `client` the clients of redis-py. `batches` is how
tasks ask the server, `blocking` how threads do, over what `connections` has; `plain_load` is what threads ask most.
"""

from typed_sessions.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
