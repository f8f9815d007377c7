"""Every source test gets an AWS that answers from a script."""

from __future__ import annotations

import pytest

from prodwatch.testing.aws import ScriptedAws


@pytest.fixture
def aws() -> ScriptedAws:
    return ScriptedAws()
