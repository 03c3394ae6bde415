"""Runs a real `mongod` for development and tests. The process that uses it starts and stops it."""

from datalayer.server.embedded import embedded_server
from datalayer.server.node import Node
from datalayer.server.replica_set import ReplicaSet

__all__ = ["Node", "ReplicaSet", "embedded_server"]
