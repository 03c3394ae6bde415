"""The database schema: declared by the document classes, compared with the live schema, and created."""

from datalayer.engine.database import SchemaMode
from datalayer.schema.creation import ensure_schema
from datalayer.schema.tables import Table, declared_tables

__all__ = ["SchemaMode", "Table", "declared_tables", "ensure_schema"]
