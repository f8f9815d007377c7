"""Fixtures: a scripted AWS for source tests."""

from __future__ import annotations

import pytest

from prodwatch.testing.aws import ScriptedAws


@pytest.fixture
def aws() -> ScriptedAws:
    return ScriptedAws()
