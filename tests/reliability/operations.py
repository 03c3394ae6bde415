"""All that a worker does."""

from tests.reliability import activities, content, people, scenes
from tests.reliability.people import arrive
from tests.reliability.worker import Operation, Worker

OPERATIONS: dict[str, Operation] = {
    operation.run.__name__: operation
    for module in (people, content, activities, scenes)
    for operation in module.OPERATIONS
}
"""The operations by name."""

_WEIGHTS = [operation.weight for operation in OPERATIONS.values()]


def choose(worker: Worker) -> Operation:
    """What the worker does next; somebody has to be there first."""
    if len(worker.users) < 2:
        return OPERATIONS[arrive.__name__]
    (operation,) = worker.random.choices(list(OPERATIONS.values()), _WEIGHTS)
    return operation
