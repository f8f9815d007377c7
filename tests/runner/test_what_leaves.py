"""Nothing leaves a run with a secret or a control character in it, whichever way it takes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.check import Capture, Poll
from prodwatch.model.environment import SecretReference
from prodwatch.model.quantity import Duration, Headers
from prodwatch.model.result import Correlation, Exchange
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation
from prodwatch.runner.values.redaction import OutputRedactor
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import environment, flow, plain, step
from prodwatch.text.redact import MASK, Redactor

SECRET = "s3cr3t/va+lue"
JSON = msgspec.json.Encoder(decimal_format="number")


@pytest.fixture
def shop(bench: Bench) -> Bench:
    bench.environment = environment(secrets={"token": SecretReference(env="TOKEN")}, vars={"auth": "${secret.token}"})
    bench.environ["TOKEN"] = SECRET
    return bench


async def document(bench: Bench, *checks: Any, **keys: Any) -> str:
    """Return the whole result and every event as JSON."""
    result = await bench.run(*checks, **keys)
    return JSON.encode([result, bench.events]).decode()


def everything(text: str) -> Observation:
    """An answer that holds `text` wherever it can."""
    return Observation(
        document={"body": f"<{text}>", "list": [text], text: 1},
        exchange=Exchange(
            request={"url": f"https://x/?q={text}", "headers": {text: text}},
            response={"body": text},
            curl=f"curl {text}",
            aws_cli=f"aws {text}",
        ),
        correlation=Correlation(request_ids=(text,), links={text: text}),
        version=text,
        notices=(f"note {text}",),
        leftovers=(text,),
    )


@pytest.mark.parametrize("expect", ["body == 'x'", "body == '${vars.auth}!'", "list[0] == 'y'", "list contains 'z'"])
async def test_a_secret_in_the_answer(shop: Any, expect: Any) -> None:
    shop.script("scripted", everything(SECRET))
    check = plain(expect=[expect], auth="${vars.auth}", check={"links": {"x": "https://x/${vars.auth}"}})
    text = await document(shop, check)
    assert "s3cr3t" not in text
    assert MASK in text


async def test_a_secret_in_a_failure_a_wait_and_a_capture(shop: Any) -> None:
    shop.script("scripted", Failure(status=Status.FAIL, reason=Reason.CONNECT, message=f"no {SECRET}", transient=True))
    shop.script("other", everything(SECRET))
    text = await document(
        shop,
        plain("a", expect=["body exists"], auth="${vars.auth}", poll=Poll(within_s=2)),
        flow("b", step("s", "other", auth="${vars.auth}", capture={"body": Capture(path="body")})),
    )
    assert "s3cr3t" not in text


async def test_a_captured_secret_is_masked_from_then_on(bench: Bench) -> None:
    bench.script("scripted", {"token": "fresh-token-1"}, everything("fresh-token-1"))
    text = await document(
        bench,
        flow(
            "f",
            step("get", capture={"token": Capture(path="token", secret=True)}, expect=["token exists"]),
            step("use", auth="Bearer ${captured.token}", expect=["body == 'x'"]),
        ),
    )
    assert "fresh-token-1" not in text
    assert f'"captured":{{"token":"{MASK}"}}' in text


async def test_a_captured_secret_that_is_too_short_is_refused(bench: Bench) -> None:
    bench.script("scripted", {"pin": "1234"})
    check = await bench.one(flow("f", step("get", capture={"pin": Capture(path="pin", secret=True)})))
    assert (check.status, check.reason_code) == ("error", "invalid")
    assert "1234" not in (check.message or "")


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("Set-Cookie", "session=abcdef123456; Path=/; HttpOnly", "abcdef123456"),
        ("authorization", "Bearer abcdef123456", "abcdef123456"),
        ("X-Api-Key", "abcdef123456", "abcdef123456"),
    ],
)
async def test_headers_that_carry_secrets_are_masked_even_when_captured(
    bench: Bench, name: Any, value: Any, secret: Any
) -> None:
    answer = {"headers": Headers(((name, value), ("X-Fine", "HttpOnly"))), "body": f"you are {secret}"}
    bench.script("scripted", answer)
    check = plain(expect=[f"header('{name}') == 'x'", "body == 'y'"], capture={"it": Capture(path=f"header('{name}')")})
    text = await document(bench, check)
    assert secret not in text


@pytest.mark.parametrize("operation", ["GetSecretValue", "get-parameter", "GetSessionToken"])
async def test_answers_that_are_secrets_as_a_whole(bench: Bench, operation: Any) -> None:
    bench.script("aws", Observation(document={"Value": "abc", "Long": "abcdefgh"}, exchange=Exchange(response="abc")))
    check = plain(
        type="aws",
        service="x",
        operation=operation,
        expect=["Value == 'x'", "Long == 'abcdefgh'"],
        capture={"v": Capture(path="Value")},
    )
    result = await bench.one(check)
    assert result.status == "fail"
    assert {each.actual for each in result.assertions} == {MASK}
    assert "abcdefgh" not in msgspec.json.encode(result).decode().replace("Long == 'abcdefgh'", "")
    assert result.exchange is not None
    assert result.exchange.response == MASK


async def test_control_characters_are_made_visible(bench: Bench) -> None:
    bench.script("scripted", everything("\x1b[31mred\u202e"))
    text = await document(bench, plain(expect=["body == 'x'"]))
    shown = repr(msgspec.json.decode(text))
    assert "\\x1b" not in shown
    assert "\\u202e" not in shown
    assert "␛[31mred" in shown


async def test_a_bug_tells_its_kind_and_no_more(bench: Bench) -> None:
    def broken(_params: Any) -> Any:
        raise LookupError("abc")

    bench.script("scripted", broken)
    check = await bench.one(plain(expect=["ok == true"]))
    assert (check.status, check.reason_code) == ("error", "internal")
    assert "LookupError" in (check.message or "")


texts = st.text(max_size=20) | st.sampled_from([SECRET, f"a{SECRET}b", "\x1b[0m", "\u202e", "x" * 20_000])
values = st.recursive(
    texts | st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.binary(max_size=8),
    lambda each: st.lists(each, max_size=4) | st.dictionaries(texts, each, max_size=4),
    max_leaves=12,
)


@given(values)
def test_any_value_comes_out_clean_and_as_json(value: Any) -> None:
    cleaned = OutputRedactor(Redactor([SECRET])).value({"it": value})
    text = JSON.encode(cleaned).decode()
    assert SECRET not in text
    assert "\x1b" not in text
    assert "\\u001b" not in text
    msgspec.json.decode(text)


@given(values)
def test_the_quick_way_out_is_as_clean(value: Any) -> None:
    output = OutputRedactor(Redactor([SECRET]))
    exchange = output.exchange(Exchange(request={"it": value}, response=value))
    assert exchange is not None
    text = repr((exchange.request, exchange.response))
    assert SECRET not in text
    assert "\\x1b" not in text
    assert "\\u202e" not in text


def test_values_keep_what_they_mean() -> None:
    output = OutputRedactor(Redactor())
    moment = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
    assert output.value({"a": Decimal("1.10"), "b": Duration.from_ms(300), "c": moment, "d": b"x", "e": (1, 2)}) == {
        "a": Decimal("1.10"),
        "b": "300ms",
        "c": "2026-01-15T12:00:00Z",
        "d": "x",
        "e": [1, 2],
    }


def test_large_values_are_cut_and_marked() -> None:
    output = OutputRedactor(Redactor())
    assert output.value(list(range(300)))[-1] == "… (+100 elements)"
    assert output.value({str(n): n for n in range(300)})["…"] == "+100 keys"
    assert len(output.text("x" * 20_000)) < 11_000


@pytest.mark.parametrize("filters", ["upper", "replace('s3cr3t', 'changed') | lower", "last_segment"])
async def test_what_a_filter_makes_of_a_secret_is_one_too(shop: Any, filters: str) -> None:
    made = {"upper": SECRET.upper(), "last_segment": "va+lue"}.get(filters, "changed/va+lue")
    shop.script("scripted", everything(made))
    text = await document(shop, plain(expect=["body == 'x'"], auth=f"${{vars.auth | {filters}}}"))
    assert made not in text
    assert MASK in text


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        ({"a": ["x", 1, None, True, {"b": "y"}]}, True),
        ([], True),
        ({"a": ["x", {"b": f"y {SECRET}"}]}, False),
        ({SECRET: 1}, False),
        ({"a": "\x1b[31m"}, False),
        ({"a": b"x"}, False),
        ("x", False),
    ],
    ids=["harmless", "empty", "a secret", "a secret as a key", "a control character", "bytes", "not a document"],
)
def test_only_a_document_without_secrets_and_control_characters_is_passed_on_as_it_is(value: Any, passes: bool) -> None:
    assert OutputRedactor(Redactor([SECRET])).passes(value) is passes
