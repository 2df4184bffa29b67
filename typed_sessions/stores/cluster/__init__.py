"""`ClusterRedisStore`: records spread over the nodes of a Redis or Valkey cluster. `stores` gives it out.

`store` has the operations, `scripts` what the servers run for them, `answers` what they answer. `routing` finds the
node for a call and follows it where the cluster sends it, `pipelines` is how tasks ask a node, `threads` how threads
do, `seeds` where the cluster is.
"""

from typed_sessions.stores.cluster.store import ClusterRedisStore

__all__ = ["ClusterRedisStore"]
