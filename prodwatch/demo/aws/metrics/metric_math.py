"""Metric maths: arithmetic, comparisons, FILL, IF, and sums over METRICS()."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Points = dict[int, float]
"""Start of period → value."""
Value = Points | float


class MetricMathError(ValueError):
    """A metric maths expression that cannot be computed; the text names the reason."""


_BINARY: dict[type[ast.AST], Callable[[float, float], float | None]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b if b else None,
    ast.Pow: lambda a, b: a**b,
    ast.Gt: lambda a, b: float(a > b),
    ast.GtE: lambda a, b: float(a >= b),
    ast.Lt: lambda a, b: float(a < b),
    ast.LtE: lambda a, b: float(a <= b),
    ast.Eq: lambda a, b: float(a == b),
    ast.NotEq: lambda a, b: float(a != b),
}
_REDUCERS: dict[str, Callable[[Sequence[float]], float]] = {
    "SUM": sum,
    "AVG": lambda values: sum(values) / len(values),
    "MIN": min,
    "MAX": max,
}


@dataclass(frozen=True, slots=True)
class _Scope:
    results: Mapping[str, Points]
    plain: Sequence[str]
    stamps: Sequence[int]
    period_s: int


def compute(
    expression: str,
    results: Mapping[str, Points],
    *,
    plain: Sequence[str],
    period_s: int,
    start_s: float,
    end_s: float,
) -> Points:
    """Return the expression's points.

    Raises KeyError for an id without results, MetricMathError for an unsupported expression.
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except SyntaxError as error:
        raise MetricMathError(f"the expression {expression!r} cannot be read: {error.msg}") from error
    first = int(start_s // period_s) * period_s
    scope = _Scope(results, plain, range(first, int(end_s), period_s), period_s)
    value = _node(tree, scope)
    return value if isinstance(value, dict) else dict.fromkeys(scope.stamps, value)


def _node(node: ast.AST, scope: _Scope) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return scope.results[name]
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
            return _combine(_BINARY[type(operator)], _node(left, scope), _node(right, scope))
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _BINARY:
            return _combine(_BINARY[type(operator)], _node(left, scope), _node(right, scope))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _combine(lambda a, b: a - b, 0.0, _node(operand, scope))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _call(name.upper(), args, scope)
        case _:
            raise MetricMathError(f"the embedded AWS does not compute {ast.unparse(node)!r}")


def _combine(operate: Callable[[float, float], float | None], left: Value, right: Value) -> Value:
    if isinstance(left, dict) and isinstance(right, dict):
        pairs = {stamp: operate(left[stamp], right[stamp]) for stamp in left if stamp in right}
    elif isinstance(left, dict):
        assert not isinstance(right, dict)
        pairs = {stamp: operate(value, right) for stamp, value in left.items()}
    elif isinstance(right, dict):
        pairs = {stamp: operate(left, value) for stamp, value in right.items()}
    else:
        return operate(left, right) or 0.0
    return {stamp: value for stamp, value in pairs.items() if value is not None}


def _call(name: str, args: Sequence[ast.expr], scope: _Scope) -> Value:
    if name == "FILL" and len(args) == 2:
        return _fill(_series(_node(args[0], scope), scope), args[1], scope)
    if name == "IF" and len(args) in {2, 3}:
        condition = _series(_node(args[0], scope), scope)
        then, other = (_series(_node(arg, scope), scope) for arg in (*args[1:], ast.Constant(0))[:2])
        chosen = {stamp: (then if flag else other) for stamp, flag in condition.items()}
        return {stamp: source[stamp] for stamp, source in chosen.items() if stamp in source}
    if name == "PERIOD" and len(args) == 1:
        return float(scope.period_s)
    if name in _REDUCERS and len(args) == 1:
        return _reduce(_REDUCERS[name], args[0], scope)
    raise MetricMathError(f"the embedded AWS does not compute the function {name}")


def _series(value: Value, scope: _Scope) -> Points:
    return value if isinstance(value, dict) else dict.fromkeys(scope.stamps, value)


def _fill(points: Points, how: ast.expr, scope: _Scope) -> Points:
    if isinstance(how, ast.Name) and how.id.upper() == "REPEAT":
        filled: Points = {}
        last: float | None = None
        for stamp in scope.stamps:
            last = points.get(stamp, last)
            if last is not None:
                filled[stamp] = last
        return filled
    constant = _node(how, scope)
    if isinstance(constant, dict):
        raise MetricMathError("FILL needs a number or REPEAT")
    return {stamp: points.get(stamp, constant) for stamp in scope.stamps}


def _reduce(reducer: Callable[[Sequence[float]], float], arg: ast.expr, scope: _Scope) -> Value:
    match arg:
        case ast.Call(func=ast.Name(id="METRICS")):
            series = [scope.results[name] for name in scope.plain]
        case ast.List(elts=elements):
            series = [_series(_node(element, scope), scope) for element in elements]
        case _:
            points = _series(_node(arg, scope), scope)
            return reducer(list(points.values())) if points else {}
    stamps = sorted(set().union(*series))
    return {stamp: reducer([points[stamp] for points in series if stamp in points]) for stamp in stamps}
