"""A real `mongod` for development and tests, started and stopped by the process that uses it."""

from datalayer.server.embedded import embedded_server
from datalayer.server.node import Node
from datalayer.server.replica_set import ReplicaSet

__all__ = ["Node", "ReplicaSet", "embedded_server"]
