"""The changes: what can be mutated in a module."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: (r"is\s+not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: (r"not\s+in", "in"),
}
ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "//"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
}
FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}
MONGODB = {
    "$lt": "$lte",
    "$lte": "$lt",
    "$gt": "$gte",
    "$gte": "$gt",
    "$ne": "$eq",
    "$eq": "$ne",
    "$in": "$nin",
    "$nin": "$in",
    "$or": "$and",
    "$and": "$or",
    "$min": "$max",
    "$max": "$min",
    "$first": "$last",
    "$last": "$first",
    "$add": "$subtract",
    "$subtract": "$add",
}

# What these are given is a matter of types, or of text.
IGNORED_CALLS = {"TypeVar", "ParamSpec", "NewType", "ContextVar", "cast", "ConfigDict", "TypedDict"}
IGNORED_FUNCTIONS = {"__repr__", "__str__"}
# They change how the server finds something, or what a message says. `strict` of `zip` is a check of our own code.
IGNORED_KEYWORDS = {"hint", "batch_size", "batchSize", "why", "strict", "stacklevel"}
# Beyond that a number is a size that is as good as the next one.
LARGEST = 10_000


@dataclass(frozen=True, order=True)
class Mutant:
    """A change of one place in one module.

    Attributes:
        path: The module's file, relative to the repository.
        line: Where the change begins.
        start: The first byte that is replaced.
        end: The first byte behind it.
        after: What it is replaced with.
        before: What it was, for people.
        function: The qualified name of the innermost function around it; empty outside of functions.
    """

    path: Path
    line: int
    start: int
    end: int
    after: str
    before: str
    function: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  {_short(self.before)}  ->  {_short(self.after) or 'nothing'}"

    def of(self, source: bytes) -> bytes:
        """The module with the change."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def mutants(root: Path, path: Path) -> list[Mutant]:
    """Every change of the module; not each of them is valid."""
    source = (root / path).read_bytes()
    finder = _Finder(path, source)
    finder.visit(ast.parse(source))
    return sorted(set(finder.found))


def is_valid(root: Path, mutant: Mutant) -> bool:
    """Whether the module with the change compiles, and says something else than before."""
    before = (root / mutant.path).read_bytes()
    try:
        return ast.dump(ast.parse(mutant.of(before))) != ast.dump(ast.parse(before))
    except SyntaxError:
        return False


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 70 else f"{text[:67]}..."


class _Finder(ast.NodeVisitor):
    """Walks through a module. Annotations, docstrings, messages and decorators are left alone."""

    def __init__(self, path: Path, source: bytes) -> None:
        self.found: list[Mutant] = []
        self._path, self._source = path, source
        self._lines = [0, *(match.end() for match in re.finditer(rb"\n", source))]
        self._scope: list[str] = []
        self._functions: list[str] = [""]

    # Statements

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope.append(node.name)
        self._visit_all(node.body)
        self._scope.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if node.name in IGNORED_FUNCTIONS:
            return
        self._visit_all([*node.args.defaults, *filter(None, node.args.kw_defaults)])
        self._functions.append(".".join([*self._scope, node.name]))
        self._scope += [node.name, "<locals>"]
        self._visit_all(node.body)
        del self._scope[-2:]
        self._functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if type(node.op) in ARITHMETIC and not _is_text(node.value):
            old, new = ARITHMETIC[type(node.op)]
            self._between(node.target, node.value, re.escape(old) + "=", new + "=")
        self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call | ast.Await):
            self._replace(node, "pass")
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._replace(node, "pass")

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._visit_all(node.body)

    def visit_AsyncWith(self, node: ast.AsyncWith | ast.With) -> None:
        for item in node.items:
            if item.optional_vars is None:
                self._replace(item.context_expr, "__import__('contextlib').nullcontext()")
        self.generic_visit(node)

    visit_With = visit_AsyncWith  # noqa: N815

    # Expressions

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        pass

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._replace(node, str(not node.value))
        elif isinstance(node.value, int) and node.value < LARGEST:
            self._replace(node, str(node.value + 1))
            if node.value > 1:
                self._replace(node, str(node.value - 1))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._replace(node, f"({self._text(node.operand)})")
        elif isinstance(node.op, ast.USub):
            self._replace(node, f"({self._text(node.operand)})")
            if isinstance(node.operand, ast.Constant):
                return
        self.visit(node.operand)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if type(node.op) in ARITHMETIC and not (_is_text(node.left) or _is_text(node.right)):
            old, new = ARITHMETIC[type(node.op)]
            self._between(node.left, node.right, re.escape(old), new)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._between(left, right, rf"\b{old}\b", new)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for op, left, right in zip(node.ops, operands, operands[1:], strict=False):
            self._between(left, right, *COMPARISONS[type(op)])
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name in IGNORED_CALLS:
            return
        if name in FUNCTIONS:
            self._replace(node.func, FUNCTIONS[name])
        arguments: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
        for number, argument in enumerate(arguments):
            if isinstance(argument, ast.keyword):
                if argument.arg in IGNORED_KEYWORDS:
                    continue
                if argument.arg is not None:
                    self._drop(arguments, number)
                self.visit(argument.value)
            else:
                self.visit(argument)
        self.visit(node.func)

    def visit_Dict(self, node: ast.Dict) -> None:
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        if all(isinstance(key, str) and not key.startswith("$") for key in keys) and all(map(_is_text, node.values)):
            return
        entries = [_Entry(self, key, value) for key, value in zip(node.keys, node.values, strict=True)]
        is_projection = all(isinstance(item, ast.Constant) and item.value in (0, 1) for item in node.values) and not (
            any(isinstance(key, str) and key.startswith("$") for key in keys)
        )
        for number, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
            if isinstance(key, ast.Constant) and key.value in MONGODB:
                self._replace(key, f'"{MONGODB[key.value]}"')
            if isinstance(key, ast.Constant) and key.value == "$inc" and isinstance(value, ast.Dict):
                for change in value.values:
                    self._replace(change, f"-({self._text(change)})")
            self._drop(entries, number)
            if not is_projection:
                self.visit(value)

    # Helpers

    def _visit_all(self, nodes: Sequence[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def _negate(self, test: ast.expr) -> None:
        """Conditions that have no operator of their own to change."""
        if isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.Await | ast.NamedExpr):
            self._replace(test, f"(not ({self._text(test)}))")

    def _drop(self, items: Sequence["ast.AST | _Entry"], number: int) -> None:
        """Remove one of several items that commas separate."""
        start, end = self._span(items[number])
        if number + 1 < len(items):
            self._add(start, self._span(items[number + 1])[0], "", start)
        elif number > 0:
            self._add(self._span(items[number - 1])[1], end, "", start)
        else:
            self._add(start, end, "", start)

    def _replace(self, node: ast.AST, after: str) -> None:
        start, end = self._span(node)
        self._add(start, end, after, start)

    def _between(self, left: ast.AST, right: ast.AST, old: str, new: str) -> None:
        """Replace the operator between two operands."""
        start, end = self._span(left)[1], self._span(right)[0]
        if match := re.search(old.encode(), self._source[start:end]):
            self._add(start + match.start(), start + match.end(), new, start + match.start())

    def _add(self, start: int, end: int, after: str, at: int) -> None:
        line = self._source.count(b"\n", 0, at) + 1
        before = self._source[start:end].decode()
        self.found.append(Mutant(self._path, line, start, end, after, before, self._functions[-1]))

    def _text(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self._source[start:end].decode()

    def _span(self, node: "ast.AST | _Entry") -> tuple[int, int]:
        if isinstance(node, _Entry):
            return node.span
        return (
            self._lines[node.lineno - 1] + node.col_offset,  # type: ignore[attr-defined]
            self._lines[node.end_lineno - 1] + node.end_col_offset,  # type: ignore[attr-defined]
        )


class _Entry:
    """An entry of a dict: its key and its value, or `**` and what follows."""

    def __init__(self, finder: _Finder, key: ast.expr | None, value: ast.expr) -> None:
        start, end = finder._span(value)
        start = finder._span(key)[0] if key is not None else finder._source.rindex(b"**", 0, start)
        self.span = start, end


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


def python_files(root: Path, paths: Sequence[Path]) -> Iterator[Path]:
    """The modules at or below the paths, relative to the root."""
    for path in paths:
        below = sorted((root / path).rglob("*.py")) if (root / path).is_dir() else [root / path]
        yield from (file.relative_to(root) for file in below)
