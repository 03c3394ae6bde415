"""The library's errors as HTTP responses."""

import logging

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from datalayer.errors import DataLayerError

STATUS = {
    "not_found": 404,
    "already_exists": 409,
    "invalid_input": 422,
    "rule_violation": 409,
    "not_a_participant": 403,
    "unavailable": 503,
}
"""The HTTP status by error code. Other errors get the status of their base class, ultimately 500."""

HIDDEN = {
    "unavailable": "The service is not available. Nothing has changed; try again.",
    "outcome_unknown": "The change was not confirmed. Check whether it was applied before you try again.",
}
"""Replaces messages that are for operators, because they may name hosts."""

logger = logging.getLogger(__name__)


async def answer(request: Request, error: DataLayerError) -> JSONResponse:
    """The response for an error that left a route."""
    status, detail = status_of(type(error)), error.message
    if status >= 500:  # noqa: PLR2004 - the server's own errors begin here
        logger.error("%s %s", request.method, request.url.path, exc_info=error)
        detail = HIDDEN.get(error.code, "Something went wrong.")
    headers = {"Retry-After": "1"} if error.code == "unavailable" else None
    return JSONResponse({"code": error.code, "detail": detail}, status, headers)


async def answer_bad_request(_: Request, error: RequestValidationError) -> JSONResponse:
    """The same shape for what FastAPI refuses before a route is called."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:]) or first["loc"][0]
    return JSONResponse({"code": "invalid_input", "detail": f"{name}: {first['msg']}"}, STATUS["invalid_input"])


def status_of(kind: type[DataLayerError]) -> int:
    """The status of the kind of error, or of the nearest kind above it."""
    codes = [base.code for base in kind.__mro__ if issubclass(base, DataLayerError)]
    return next((STATUS[code] for code in codes if code in STATUS), 500)
