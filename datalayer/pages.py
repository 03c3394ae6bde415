"""Pages of a list, by position."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, and where the next ones begin.

    Attributes:
        items: At most as many as were asked for.
        next: What to give as `after` for the page that follows; `None` exactly on the last page.
    """

    items: list[T]
    next: str | None = None
