"""Remote text cannot control the terminal, and a secret is masked in all its forms."""

from __future__ import annotations

import base64
import html
import json
import struct
import unicodedata
from collections.abc import Callable
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


NOTATIONS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON, all escaped": lambda text: "".join(
        f"\\u{unit:04x}" for unit in struct.unpack(f">{len(text.encode('utf-16-be')) // 2}H", text.encode("utf-16-be"))
    ),
    "JSON, capitals": lambda text: "".join(f"\\u{ord(each):04X}" if ord(each) < 0x80 else each for each in text),
    "percent": lambda text: quote(text, safe=""),
    "percent, all": lambda text: "".join(f"%{octet:02X}" for octet in text.encode()),
    "percent, small letters": lambda text: "".join(f"%{octet:02x}" for octet in text.encode()),
    "form": quote_plus,
    "HTML": html.escape,
    "HTML, by number": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "HTML, in hex": lambda text: "".join(f"&#x{ord(each):X};" for each in text),
    "repr": lambda text: repr(text)[1:-1],
    "slashes escaped": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
}


SECRETS = st.text(st.characters(codec="utf-8", min_codepoint=32), min_size=6, max_size=200).filter(
    lambda text: text.strip() == text
)
TWICE = [("JSON", "JSON"), ("JSON, UTF-8", "JSON"), ("percent", "percent"), ("JSON", "slashes escaped")]


@given(SECRETS, st.sampled_from([*((name,) for name in sorted(NOTATIONS)), *TWICE]))
def test_C4_every_notation_that_decodes_to_a_secret_is_masked(secret: str, names: tuple[str, ...]) -> None:
    written = secret
    for name in names:
        written = NOTATIONS[name](written)
    assert Redactor([secret]).text(f"<{written}>") == f"<{MASK}>"


@given(st.text(st.characters(codec="utf-8", min_codepoint=32), min_size=6, max_size=30), st.data())
def test_C4_a_secret_of_mixed_notations_is_masked(secret: str, data: st.DataObject) -> None:
    notation = st.sampled_from([NOTATIONS[name] for name in ("percent, all", "HTML, by number", "JSON, all escaped")])
    written = "".join(data.draw(notation)(each) for each in secret)
    assert Redactor([secret]).text(written) == MASK


def test_C4_a_part_of_a_long_secret_is_masked() -> None:
    key = "".join(f"line{number:04d}of-the-key\n" for number in range(60))
    assert Redactor([key]).text(json.dumps({"key": key})) == json.dumps({"key": "@"}).replace("@", MASK)
    cut = json.dumps(key)[300:700]
    assert MASK in Redactor([key]).text(cut)
    assert "line0020" in cut
    assert "line0020" not in Redactor([key]).text(cut)


@pytest.mark.parametrize("hostile", ["\\" * 20_000, "%41" * 10_000, "&amp;" * 10_000, "&#65;" * 5_000])
def test_C4_a_hostile_text_is_searched_in_linear_time(hostile: str) -> None:
    """Backtracking would take hours."""
    redactor = Redactor(['ab\\\\\\c"""def%25&&', "x&<>y/zz%%"])
    assert redactor.text(hostile) == hostile


@pytest.mark.parametrize("ordinary", ["100%", "a & b", "C:\\users", "50%25", "&lt;p&gt;", '{"a": "\\u00e9"}'])
def test_ordinary_escapes_are_not_masked(ordinary: str) -> None:
    assert Redactor(["secret-value", "a&b%/c\\d"]).text(ordinary) == ordinary
