"""The assertion language: parse, print, evaluate, explain; pure, never raising while it evaluates."""

from prodwatch.assertions.errors import AssertionSyntaxError
from prodwatch.assertions.evaluate import evaluate
from prodwatch.assertions.path import Path, parse_path
from prodwatch.assertions.syntax import Assertion, parse
from prodwatch.assertions.value_equality_and_order import MISSING

__all__ = ["MISSING", "Assertion", "AssertionSyntaxError", "Path", "evaluate", "parse", "parse_path"]
