"""Remote text cannot control the terminal, and a secret is masked in all its forms."""

from __future__ import annotations

import base64
import json
import unicodedata
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.text.redact import MASK, Redactor, redact_headers
from prodwatch.text.sanitize import sanitize, sanitize_line, sanitize_value

SECRET = 's3cr3t/+ü"key&x'


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b]0;PWNED\x07",
        "\x1b[2J",
        "a\x08b",
        "\x9b31m",
        "safe\u202egnp.exe",
        "\u2066x\u2069",
        "\ufeffbom",
        "\x00",
        "\r",
    ],
    ids=["osc", "clear", "backspace", "c1-csi", "rtl-override", "isolate", "bom", "nul", "carriage-return"],
)
def test_control_and_bidi_characters_become_visible(hostile: str) -> None:
    shown = sanitize(hostile)
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs"} for char in shown)
    assert len(shown) == len(hostile)


@pytest.mark.parametrize("ordinary", ["plain", "日本語", "naïve café", "[bold]x[/]", "emoji 🚀", "tab\tand\nnewline"])
def test_ordinary_text_stays_as_it_is(ordinary: str) -> None:
    assert sanitize(ordinary) == ordinary


@given(st.text())
def test_nothing_sanitised_can_move_the_cursor(text: str) -> None:
    line = sanitize_line(text)
    assert not any(unicodedata.category(char) in {"Cc", "Cs"} for char in line)


def test_a_cut_shows_the_number_of_cut_characters() -> None:
    assert sanitize("x" * 1_000_000, limit=10) == "xxxxxxxxxx… (+999990 characters)"


def test_values_are_cleaned_through_and_through() -> None:
    assert sanitize_value({"a\x1b": ["\x07", 1, None, ("\x00",)]}) == {"a␛": ["␇", 1, None, ["␀"]]}


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        f"Bearer {SECRET}!",
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        json.dumps({"k": SECRET}),
        json.dumps({"k": SECRET}, ensure_ascii=False),
        json.dumps(json.dumps({"k": SECRET})),
        SECRET.encode().hex(),
    ],
    ids=["plain", "inside", "url", "url-all", "url-lower", "form", "json", "json-utf8", "json-in-json", "hex"],
)
def test_every_form_of_a_secret_is_masked(form: str) -> None:
    masked = Redactor([SECRET]).text(form)
    assert MASK in masked
    assert "s3cr3t" not in masked


@given(st.binary(max_size=20), st.text(min_size=12, max_size=40), st.binary(max_size=20))
def test_base64_around_a_secret_gives_away_at_most_its_edges(before: bytes, secret: str, after: bytes) -> None:
    try:
        secret.encode()
    except UnicodeEncodeError:
        return
    redactor = Redactor([secret])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        masked = redactor.text(encode(before + secret.encode() + after).decode())
        assert MASK in masked


def test_several_secrets_are_masked_longest_first() -> None:
    assert Redactor(["abcdef", "abcdefgh"]).text("abcdefgh abcdef") == f"{MASK} {MASK}"


def test_short_secrets_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 6"):
        Redactor(["12345"])


def test_secret_headers_are_masked_whatever_their_case() -> None:
    assert redact_headers([("authorization", "x"), ("Set-Cookie", "y"), ("X-API-Key", "z"), ("Accept", "a")]) == [
        ("authorization", MASK),
        ("Set-Cookie", MASK),
        ("X-API-Key", MASK),
        ("Accept", "a"),
    ]


def test_nested_values_and_keys_are_masked() -> None:
    assert Redactor(["hunter22"]).value({"hunter22": ["x hunter22", 1]}) == {MASK: [f"x {MASK}", 1]}


@pytest.mark.parametrize(
    "echoed",
    [
        pytest.param("""p&amp;ss&lt;w/"or'd""", id="html text"),
        pytest.param("""p&amp;ss&lt;w/&quot;or&#x27;d""", id="html attribute"),
        pytest.param("""p&amp;ss&lt;w/&quot;or&#39;d""", id="html attribute, decimal"),
        pytest.param("""p&amp;ss&lt;w/&#34;or&#39;d""", id="html attribute, all by number"),
        pytest.param("""p&ss<w\\/\\"or'd""", id="json with escaped slashes"),
        pytest.param("70267373", id="hex"),
    ],
)
def test_a_secret_as_pages_and_services_echo_it(echoed: str) -> None:
    secret = """p&ss<w/"or'd"""
    if echoed == "70267373":
        echoed = secret.encode().hex().upper()
    assert Redactor([secret]).text(f"<{echoed}>") == f"<{MASK}>"
