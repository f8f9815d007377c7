"""Which fields of which classes a set of source files reads, by following types through the syntax tree.

A type is the set of class names that an annotation mentions, so a container counts as what it holds: iterating,
indexing and `values()` keep the type. That is enough to tell `metric.gate` from `alarm.gate`.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

Types = frozenset[str]
NOTHING: Types = frozenset()
_NAME = re.compile(r"\w+")
_THROUGH = frozenset(("sorted", "tuple", "list", "set", "frozenset", "zip", "enumerate", "next", "max", "min", "iter"))
_THROUGH |= frozenset(("reversed", "filter", "replace", "dict", "chain", "cast", "items_of"))
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_PASSES = 3
"""Rounds over all files: what a class assigns to itself in one is known in the next."""


class Classes:
    """Every class of the files by name, with the types of its attributes, methods and properties."""

    def __init__(self, trees: Iterable[ast.Module]) -> None:
        self.attributes: dict[str, dict[str, Types]] = defaultdict(dict)
        self.bases: dict[str, list[str]] = defaultdict(list)
        self.returns: dict[str, Types] = defaultdict(lambda: NOTHING)
        """Function → what its annotation says it returns."""
        self._mentioned: dict[ast.expr, Types] = {}
        nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, _DEFINITIONS)]
        self.names = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                self._read_class(node)
            else:
                self.returns[node.name] |= self.mentioned(node.returns)

    def _read_class(self, node: ast.ClassDef) -> None:
        self.bases[node.name] += [base.id for base in node.bases if isinstance(base, ast.Name)]
        for each in node.body:
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                self.add(node.name, each.target.id, self.mentioned(each.annotation))
            elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                self.add(node.name, each.name, self.mentioned(each.returns))

    def mentioned(self, annotation: ast.expr | None) -> Types:
        """Return the classes that an annotation mentions."""
        if annotation is None:
            return NOTHING
        if annotation not in self._mentioned:
            self._mentioned[annotation] = frozenset(_words(annotation)) & self.names
        return self._mentioned[annotation]

    def add(self, owner: str, attribute: str, types: Types) -> None:
        """Note one more type of an attribute."""
        self.attributes[owner][attribute] = self.attributes[owner].get(attribute, NOTHING) | types

    def find(self, owner: str, attribute: str) -> Types | None:
        """Return the types of an attribute, None when the class has none of this name."""
        for name in self._with_bases(owner):
            if attribute in self.attributes[name]:
                return self.attributes[name][attribute]
        return None

    def _with_bases(self, owner: str) -> Iterator[str]:
        pending, seen = [owner], set()
        while pending:
            name = pending.pop(0)
            if name not in seen:
                seen.add(name)
                yield name
                pending += self.bases.get(name, [])


def _words(annotation: ast.expr) -> Iterator[str]:
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _NAME.findall(node.value)


def field_reads(files: Iterable[Path], context: Iterable[Path] = ()) -> set[tuple[str, str]]:
    """Return (class, field) for every attribute that `files` read of a class they know; `context` adds classes."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    others = [ast.parse(path.read_text(encoding="utf-8")) for path in context]
    classes = Classes([*trees, *others])
    reads: set[tuple[str, str]] = set()
    for _ in range(_PASSES):
        for tree in trees:
            _Reader(classes, reads, {}, None).visit(tree)
    return reads


class _Reader(ast.NodeVisitor):
    """Follows the types of one scope; scopes inside it start from a copy of its names."""

    def __init__(
        self, classes: Classes, reads: set[tuple[str, str]], names: dict[str, Types], owner: str | None
    ) -> None:
        self.classes = classes
        self.reads = reads
        self.names = names
        self.owner = owner

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        inner = _Reader(self.classes, self.reads, dict(self.names), node.name)
        for each in node.body:
            inner.visit(each)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        inner = _Reader(self.classes, self.reads, dict(self.names), self.owner)
        arguments = node.args
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
            if each is not None:
                inner.names[each.arg] = self.classes.mentioned(each.annotation)
        if self.owner is not None and arguments.args and arguments.args[0].arg == "self":
            inner.names["self"] = frozenset((self.owner,))
        for part in node.body if isinstance(node.body, list) else [node.body]:
            inner.visit(part)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = _function  # noqa: N815 -- names of ast.NodeVisitor

    def _bind(self, target: ast.expr, types: Types) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                self.names[node.id] = self.names.get(node.id, NOTHING) | types
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                for owner in self.names.get(node.value.id, NOTHING):
                    self.classes.add(owner, node.attr, types)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            self._bind(target, self.type_of(node.value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        self._bind(node.target, self.classes.mentioned(node.annotation))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.generic_visit(node)
        self._bind(node.target, self.type_of(node.value))

    def _loop(self, node: ast.For | ast.AsyncFor | ast.comprehension) -> None:
        self._bind(node.target, self.type_of(node.iter))
        self.generic_visit(node)

    visit_For = visit_AsyncFor = visit_comprehension = _loop  # noqa: N815

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        for each in node.generators:
            self.visit(each)
        self.generic_visit(node)

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _comprehension  # noqa: N815

    def visit_match_case(self, node: ast.match_case) -> None:
        for pattern in ast.walk(node.pattern):
            if isinstance(pattern, ast.MatchClass):
                for name in pattern.kwd_attrs:
                    self.reads |= {(owner, name) for owner in self.classes.mentioned(pattern.cls)}
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load):
            self.type_of(node)
        self.generic_visit(node)

    def type_of(self, node: ast.AST | None) -> Types:
        """Return the classes an expression may be of, or hold; attributes met on the way count as read."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, NOTHING)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            self._comprehension(node)
        return NOTHING.union(*map(self.type_of, _parts(node)))

    def _attribute(self, node: ast.Attribute) -> Types:
        owners = self.type_of(node.value)
        found = NOTHING
        known = False
        for owner in owners:
            types = self.classes.find(owner, node.attr)
            if types is not None:
                self.reads.add((owner, node.attr))
                found |= types
                known = True
        # `values()`, `items()` and the like of a container give what it holds.
        return found if known else owners

    def _call(self, node: ast.Call) -> Types:
        function = node.func
        if isinstance(function, ast.Attribute):
            through = self._attribute(function)
            return through | NOTHING.union(*map(self.type_of, node.args)) if function.attr in _THROUGH else through
        if not isinstance(function, ast.Name):
            return NOTHING
        if function.id in _THROUGH:
            return NOTHING.union(*map(self.type_of, node.args))
        if function.id in self.classes.names:
            return frozenset((function.id,))
        return self.classes.returns[function.id] | self.names.get(function.id, NOTHING)


_PARTS: dict[type[ast.AST], tuple[str, ...]] = {
    **dict.fromkeys((ast.Subscript, ast.Starred, ast.Await, ast.NamedExpr, ast.FormattedValue), ("value",)),
    **dict.fromkeys((ast.Tuple, ast.List, ast.Set), ("elts",)),
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.GeneratorExp), ("elt",)),
    ast.DictComp: ("key", "value"),
    ast.Dict: ("keys", "values"),
    ast.BoolOp: ("values",),
    ast.BinOp: ("left", "right"),
    ast.IfExp: ("body", "orelse"),
}
"""Kind of expression → the parts that its value comes from."""


def _parts(node: ast.AST | None) -> Iterator[ast.AST | None]:
    if node is None:
        return
    for name in _PARTS.get(type(node), ()):
        part = getattr(node, name)
        yield from part if isinstance(part, list) else (part,)
