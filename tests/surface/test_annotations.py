"""Annotations mean the same when they are evaluated late, as in Python 3.14."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest

import datalayer

MODULES = sorted(module.name for module in pkgutil.walk_packages(datalayer.__path__, "datalayer."))


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_no_annotation_names_a_method(name: str) -> None:
    """Evaluated late, a `list` in a class that has a method `list` would be that method."""
    module = importlib.import_module(name)
    shadowed = [
        f"{node.name}.{method.name}: {used}"
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.ClassDef) and hasattr(module, node.name)
        for method in node.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
        for used in _names(method)
        if used in vars(getattr(module, node.name))
    ]
    assert shadowed == []


def _names(method: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The names in a method's annotations."""
    given = method.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    for annotation in [method.returns, *(argument.annotation for argument in every if argument is not None)]:
        if annotation is not None:
            yield from (node.id for node in ast.walk(annotation) if isinstance(node, ast.Name))
