"""The configuration that comes from the environment, all of it."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What the environment says; read anew each time one is made, never kept."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    mongodb_uri: str | None = Field(default=None, validation_alias="MONGODB_URI", repr=False)
    """Where the database is, for `connect()` without an argument and for the scripts."""

    mongod: Path | None = Field(default=None, validation_alias="DATALAYER_MONGOD")
    """The `mongod` program that the embedded server runs."""
