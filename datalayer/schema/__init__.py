"""What the database must look like: declared by the documents, compared with what is there, and created."""

from datalayer.engine.database import SchemaMode
from datalayer.schema.creation import ensure_schema
from datalayer.schema.tables import Table, declared_tables

__all__ = ["SchemaMode", "Table", "declared_tables", "ensure_schema"]
