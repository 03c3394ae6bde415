"""All configuration that is read from the environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings in the environment, read each time an instance is created."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    mongodb_uri: str | None = Field(default=None, validation_alias="MONGODB_URI", repr=False)
    """The URI of the database, for `connect()` without an argument and for the scripts."""

    mongod: Path | None = Field(default=None, validation_alias="DATALAYER_MONGOD")
    """The `mongod` program that the embedded server runs."""
