"""The application: opens the database and registers the routes."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic_settings import BaseSettings

from datalayer import Community, DataLayerError
from datalayer.schema import SchemaMode
from examples.fastapi_app.errors import answer, answer_bad_request
from examples.fastapi_app.routers import comments, likes, posts, spaces


class Settings(BaseSettings):
    """The environment. `MONGODB_URI` is read by `connect` itself."""

    schema_mode: SchemaMode = "create"


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    """One client for each process, open as long as it serves."""
    async with Community.connect(schema=Settings().schema_mode) as community:
        await community.gamification_config.install_defaults()
        await community.levels.install_defaults()
        app.state.community = community
        yield


app = FastAPI(
    title="Community",
    lifespan=lifespan,
    exception_handlers={DataLayerError: answer, RequestValidationError: answer_bad_request},
)
for router in (spaces.router, posts.router, comments.router, likes.router):
    app.include_router(router)
