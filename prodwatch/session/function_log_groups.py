"""Reads the log groups of functions from their own settings: a function may log into a group of another name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from msgspec.structs import replace

from prodwatch.aws.interface import AwsError
from prodwatch.model.environment import Environment, FunctionTarget
from prodwatch.session.engine import Engine

START_S = 3.0
"""Longest time for which a dashboard's sources wait for the settings of functions."""


async def find_function_groups(
    engine: Engine,
    *,
    warn: Callable[[str], None],
    only: Collection[str] | None = None,
    within_s: float | None = None,
) -> Environment:
    """Return the environment with the log group of every function (`only`: of these names) whose file names none.

    A function whose settings cannot be read, or not within `within_s`, keeps the usual name, and `warn` receives one
    sentence about it.
    """
    environment = engine.environment
    unknown = [
        function
        for function in environment.functions
        if function.log_group is None and (only is None or function.name in only)
    ]
    read = await asyncio.gather(*(_with_group(engine, function, warn, within_s) for function in unknown))
    found = dict(zip(unknown, read, strict=True))
    functions = tuple(found.get(function, function) for function in environment.functions)
    return replace(environment, functions=functions)


async def _with_group(
    engine: Engine, function: FunctionTarget, warn: Callable[[str], None], within_s: float | None
) -> FunctionTarget:
    call = engine.aws.call(
        "lambda",
        "GetFunctionConfiguration",
        {"FunctionName": function.name},
        account=function.account,
        region=function.region,
    )
    try:
        response = await asyncio.wait_for(call, within_s)
    except AwsError as error:
        if error.code == "ResourceNotFoundException":
            return function  # reported by the release source
        problem = error.message
    except TimeoutError:
        problem = f"no response within {within_s:g} s"
    else:
        group = (response.get("LoggingConfig") or {}).get("LogGroup")
        return replace(function, log_group=group) if isinstance(group, str) and group else function
    group = function.group_id.name
    warn(engine.clean(f"log group of {function.name} taken as {group}: its settings could not be read: {problem}"))
    return function
