"""Signatures of error lines and stack traces."""

from __future__ import annotations

import pytest

from prodwatch.judge.signatures.signature import SignatureReader, signature_id, signature_text
from prodwatch.judge.signatures.stack_trace import parse_stack_trace

PYTHON = """Traceback (most recent call last):
  File "/var/task/app.py", line {line}, in handler
    charge(event)
  File "/var/task/pay.py", line 40, in charge
    return client.post(event)
  File "/opt/python/lib/http.py", line 4, in post
    raise
KeyError: 'tenant'"""
CHAIN = """Traceback (most recent call last):
  File "/var/task/app.py", line 12, in load
    rates[key]
KeyError: 'currency'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/var/task/app.py", line 20, in handler
    load()
shop.errors.PaymentError: cannot charge card 4242"""
NODE = """2026-01-01T10:00:00Z\tc0ffee00-1111-2222-3333-444455556666\tERROR\tTypeError: Cannot read 'id' of undefined
    at charge (/var/task/node_modules/stripe/index.js:1:2)
    at async Runtime.handler (/var/task/index.js:10:5)
    at /var/runtime/index.mjs:3:4"""
JAVA = """java.lang.IllegalStateException: cannot charge 42
\tat com.amazonaws.http.Client.send(Client.java:1)
\tat com.shop.Pay.charge(Pay.java:10)
Caused by: java.net.SocketTimeoutException: Read timed out
\tat java.base/java.net.Socket.read(Socket.java:1)
\t... 10 more"""
DOTNET = """Unhandled exception. System.InvalidOperationException: bad state 12
   at System.Linq.Enumerable.First(IEnumerable source)
   at Shop.Pay.Charge(String id) in /src/Pay.cs:line 12"""
GO = """panic: runtime error: index out of range [3] with length 2

goroutine 1 [running]:
main.charge(...)
\t/var/task/main.go:12
main.handler({0x1, 0x2})
\t/var/task/main.go:33 +0x1d"""
RUST = "thread 'main' panicked at src/main.rs:12:5:\ncalled `Option::unwrap()` on a `None` value"
PHP = """PHP Fatal error:  Uncaught Shop\\StockError: no stock for 12 in /var/task/index.php:12
Stack trace:
#0 /var/task/vendor/autoload.php(3): run()
#1 /var/task/index.php(33): charge()"""
RUBY = """/var/task/app.rb:12:in `charge': undefined method `x' for nil (NoMethodError)
\tfrom /var/task/app.rb:3:in `handler'"""


@pytest.mark.parametrize(
    ("text", "types", "message", "frame"),
    [
        (PYTHON.format(line=12), ("KeyError",), "'tenant'", "pay.py:charge"),
        (CHAIN, ("KeyError", "shop.errors.PaymentError"), "cannot charge card 4242", "app.py:handler"),
        (NODE, ("TypeError",), "Cannot read 'id' of undefined", "index.js:Runtime.handler"),
        (
            JAVA,
            ("java.lang.IllegalStateException", "java.net.SocketTimeoutException"),
            "cannot charge 42",
            "Pay.java:com.shop.Pay.charge",
        ),
        (DOTNET, ("System.InvalidOperationException",), "bad state 12", "Pay.cs:Shop.Pay.Charge"),
        (GO, ("panic",), "runtime error: index out of range [3] with length 2", "main.charge"),
        (RUST, ("panic",), "called `Option::unwrap()` on a `None` value", None),
        (PHP, ("Shop\\StockError",), "no stock for 12", "index.php:charge"),
        (RUBY, ("NoMethodError",), "undefined method `x' for nil", "app.rb:charge"),
    ],
    ids=["python", "python chain", "node", "java", "dotnet", "go", "rust", "php", "ruby"],
)
def test_a_stack_trace_is_its_errors_and_the_first_frame_of_own_code(
    text: str, types: tuple[str, ...], message: str, frame: str | None
) -> None:
    for separator in ("\n", "⏎"):
        trace = parse_stack_trace(text.replace("\n", separator))
        assert trace is not None
        assert (trace.types, trace.message, trace.frame) == (types, message, frame)


def test_lines_without_an_error_are_no_stack_trace() -> None:
    assert parse_stack_trace("all\nis\nwell") is None


def test_line_numbers_and_frames_of_libraries_do_not_change_a_signature() -> None:
    reader = SignatureReader()
    one, other = PYTHON.format(line=12), PYTHON.format(line=99).replace("/opt/python/lib/http.py", "/opt/x/y/io.py")
    assert reader.read(one) == reader.read(other)
    assert reader.read(one) != reader.read(one.replace("in charge", "in refund"))


def test_a_json_line_counts_by_message_type_logger_and_trace() -> None:
    reader = SignatureReader()

    def read(**fields: object) -> str:
        return signature_text(reader.read("cannot charge 12", fields))

    assert read(order=1) == read(order=2, cold_start=True)
    assert read(errorType="CardError") == "CardError : cannot charge <*>"
    assert read(logger="pay") != read(logger="cart")
    trace = ['  File "/var/task/pay.py", line 3, in charge', "    x"]
    assert read(errorType="CardError", stackTrace=trace) == "CardError cannot charge <*> at pay.py:charge"


def test_ids_are_equal_in_every_run_and_belong_to_their_function() -> None:
    assert signature_id("pay", "cannot charge order <*>") == "7216b959"
    assert signature_id("pay", "cannot charge order <*>") != signature_id("cart", "cannot charge order <*>")


def test_what_is_remembered_is_bounded_and_changes_nothing() -> None:
    small, large = SignatureReader(remembered=2), SignatureReader()
    lines = [
        f"{word} failed for order {number}" for number in range(3) for word in ("charge", "refund", "mail", "ship")
    ]
    assert [small.read(line) for line in lines] == [large.read(line) for line in lines]
