"""Check files that are right: what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

from prodwatch.model.check import Capture, Poll, Repeat, Retry, SourcePosition
from prodwatch.settings.flow_builder import joined_url

CONFIG = """\
[aws.accounts.payments]
region = "us-east-1"
[stacks]
shop = "shop-prod"
[vars]
api = "${stack.shop.ApiUrl}"
db_host = "db.shop.internal"
slow = "20s"
[secrets]
token = { env = "SHOP_TOKEN" }
"""

ORDERS = """\
[defaults]
tags = ["orders"]
timeout = "5s"

[[check]]
name = "orders api answers"          # id = path and name as slugs: "orders/orders-api-answers"
type = "http"
url = "${vars.api | join('health')}"
expect = ["status == 200", "json.status == 'ok'", "latency < 1s"]
warn = ["latency < 300ms"]           # false here: degraded, not fail
diagnose = ["orders db reachable"]   # run only if this check is not green

[[check]]
name = "orders db reachable"
kind = "diagnostic"
type = "tcp"
host = "${vars.db_host}"
port = 5432
expect = ["connect < 200ms"]

[[check]]
name = "an order travels from inbox to table"
type = "flow"
mutates = true
serial = "inbox-queue"
requires = ["stack.shop.TestTable"]  # missing: skipped with the reason
timeout = "30s"                      # of the whole flow
vars.id = "TEST-${uid}"              # unique to this execution of this check, the same in all its steps

[[check.step]]
name = "post"
type = "http"
method = "POST"
url = "${stack.shop.ApiUrl | join('inbox')}"
json = { id = "${vars.id}", message = "hello", type = "TEST" }
expect = ["status == 200"]
capture = { request_id = "header('x-amzn-requestid')" }

[[check.step]]
name = "stored"
type = "dynamodb"
operation = "get"
table = "${stack.shop.TestTable}"
key = { id = "${vars.id}" }
poll = { within = "10s", every = "1s", until = ["item exists"] }
expect = ["item.Message == 'hello'", "item.Queue_Name == '${stack.shop.OutputQueue | last_segment}'"]

[[check.cleanup]]                    # always runs: after failure, timeout, Ctrl-C
type = "dynamodb"
operation = "delete"
table = "${stack.shop.TestTable}"
key = { id = "${vars.id}" }
poll = { within = "5s", until = ["deleted == true"] }    # may wait for what arrives late
"""


def http(more: str = "", name: str = "c") -> str:
    return f'[[check]]\nname = "{name}"\ntype = "http"\nurl = "https://x"\nexpect = ["status == 200"]\n{more}\n'


def test_the_example_of_the_reference(shop: Any) -> None:
    api, db, flow = shop.load({"orders.toml": ORDERS}, CONFIG).checks
    assert (api.id, api.name, api.title, api.kind, api.tags) == (
        "orders/orders-api-answers",
        "orders api answers",
        "orders api answers",
        "smoke",
        ("orders",),
    )
    assert api.source == SourcePosition("checks/orders.toml", 5, 1)
    assert api.diagnose == ("orders/orders-db-reachable",)
    (step,) = api.steps
    assert (step.name, step.type, step.timeout_s, step.mutates) == ("http", "http", 5.0, None)
    assert step.params == {"url": "${vars.api | join('health')}"}
    assert step.expect == ("status == 200", "json.status == 'ok'", "latency < 1s")
    assert step.warn == ("latency < 300ms",)

    assert (db.kind, db.mutates) == ("diagnostic", False)
    assert db.steps[0].params == {"host": "${vars.db_host}", "port": 5432}

    assert (flow.type, flow.mutates, flow.serial, flow.timeout_s) == ("flow", True, "inbox-queue", 30.0)
    assert (flow.requires, flow.vars) == (("stack.shop.TestTable",), {"id": "TEST-${uid}"})
    post, stored = flow.steps
    assert (post.name, post.mutates, post.timeout_s) == ("post", True, None)
    assert post.capture == {"request_id": Capture(path="header('x-amzn-requestid')")}
    assert post.source == SourcePosition("checks/orders.toml", 30, 1)
    assert stored.poll == Poll(within_s=10.0, every_s=1.0, until=("item exists",))
    assert stored.mutates is None
    (cleanup,) = flow.cleanup
    assert (cleanup.name, cleanup.mutates) == ("dynamodb", True)
    assert cleanup.poll == Poll(within_s=5.0, until=("deleted == true",))


def test_every_key_of_a_request(shop: Any) -> None:
    step = shop.check(
        http(
            """
method = "PUT"
warn = "latency < 1s"
attest = "header('x-version')"
capture = { id = "json.id", token = { path = "json.token", secret = true } }
timeout = "1m30s"
retry = { times = 3, delay = "50ms" }
hold = { for = "8s", every = "2s" }
poll.within = "75s"
poll.every = "500ms"
poll.until = "status == 200"
poll.stop_when = ["status == 410"]
poll.backoff = "fibonacci"
poll.jitter = true
mutates = true
idempotent = true
account = "payments"
region = "eu-central-1"
"""
        ),
        CONFIG,
    ).steps[0]
    assert step.warn == ("latency < 1s",)
    assert step.attest == "header('x-version')"
    assert step.capture == {"id": Capture(path="json.id"), "token": Capture(path="json.token", secret=True)}
    assert step.timeout_s == 90.0
    assert step.retry == Retry(times=3, delay_s=0.05)
    assert step.poll == Poll(
        within_s=75.0,
        every_s=0.5,
        until=("status == 200",),
        stop_when=("status == 410",),
        backoff="fibonacci",
        jitter=True,
    )
    assert (step.hold_s, step.hold_every_s) == (8.0, 2.0)
    assert (step.mutates, step.idempotent, step.account, step.region) == (True, True, "payments", "eu-central-1")


def test_every_key_of_a_check(shop: Any) -> None:
    check = shop.check(
        http(
            """
id = "shop/c.1"
title = "C answers"
kind = "diagnostic"
tags = ["a", "b"]
owner = "team"
environments = ["prod"]
enabled = false
critical = true
advisory = true
serial = "one"
every = "1m"
vantage = ["here"]
links = { docs = "https://docs.example/${vars.db_host}" }
muted_until = 2026-12-24T08:00:00Z
vars = { a = 1, b = { c = ["x"] }, since = 2026-01-01 }
"""
        ),
        CONFIG,
    )
    assert (check.id, check.title, check.kind, check.tags, check.owner) == (
        "shop/c.1",
        "C answers",
        "diagnostic",
        ("a", "b"),
        "team",
    )
    assert (check.environments, check.enabled, check.critical, check.advisory) == (("prod",), False, True, True)
    assert (check.serial, check.every_s, check.vantage) == ("one", 60.0, ("here",))
    assert check.links == {"docs": "https://docs.example/${vars.db_host}"}
    assert check.muted_until == "2026-12-24T08:00:00Z"
    assert check.vars == {"a": 1, "b": {"c": ["x"]}, "since": "2026-01-01"}


@pytest.mark.parametrize(
    ("more", "field", "value"),
    [
        ("retry = 0", "retry", Retry(times=0)),
        ("retry = {}", "retry", Retry()),
        ('hold = "8s"', "hold_s", 8.0),
        ('hold = "8s"\npoll = { every = "250ms" }', "hold_every_s", 0.25),
        ("poll = {}", "poll", Poll(within_s=10.0)),
        ('expect = "status == 201"', "expect", ("status == 201",)),
        ('attest = ""', "attest", ""),
    ],
)
def test_short_forms(shop: Any, more: str, field: str, value: Any) -> None:
    text = http(more) if not more.startswith("expect") else http().replace('expect = ["status == 200"]', more)
    assert getattr(shop.check(text).steps[0], field) == value


@pytest.mark.parametrize(
    ("type_", "more", "within_s"),
    [
        ("logs", 'group = "g"\nexpect = ["count > 0"]', 75.0),
        ("metric", 'namespace = "n"\nmetric = "m"\nexpect = ["value > 0"]', 75.0),
        ("traces", 'filter = "fault"\nexpect = ["count > 0"]', 100.0),
        ("tcp", 'host = "h"\nport = 1\nexpect = ["connect < 1s"]', 10.0),
    ],
)
def test_a_poll_without_a_budget_has_its_types_own(shop: Any, type_: str, more: str, within_s: float) -> None:
    check = shop.check(f'[[check]]\nname = "c"\ntype = "{type_}"\npoll = {{ every = "1s" }}\n{more}')
    assert check.steps[0].poll.within_s == within_s


def test_defaults_are_replaced_but_tables_merged(shop: Any) -> None:
    text = """
[defaults]
tags = ["a"]
vars = { x = 1, y = 2 }
links = { docs = "d" }
warn = ["status == 200"]
mutates = false
"""
    one, two = shop.load(text + http(name="one") + http('tags = ["b"]\nvars = { y = 3 }\nwarn = []', "two")).checks
    assert (one.tags, one.vars, one.links, one.steps[0].warn) == (
        ("a",),
        {"x": 1, "y": 2},
        {"docs": "d"},
        ("status == 200",),
    )
    assert (two.tags, two.vars, two.steps[0].warn) == (("b",), {"x": 1, "y": 3}, ())


def test_defaults_leave_out_what_a_type_does_not_have(shop: Any) -> None:
    text = """
[defaults]
poll = { within = "5s" }
attest = "header('x-version')"
[[check]]
name = "flow"
type = "flow"
[[check.step]]
type = "http"
url = "https://x"
[[check.step]]
type = "tcp"
host = "h"
port = 1
[[check]]
name = "tcp"
type = "tcp"
host = "h"
port = 1
expect = ["connect < 1s"]
"""
    flow, tcp = shop.load(text).checks
    assert [(step.poll, step.attest) for step in flow.steps] == [(None, "header('x-version')"), (None, None)]
    assert (tcp.steps[0].attest, tcp.steps[0].poll.within_s) == (None, 5.0)


FLOW = """
[[check]]
name = "f"
type = "flow"
{more}
[[check.step]]
type = "http"
url = "https://x"
[[check.step]]
type = "http"
url = "https://x/${{steps.http.json.id}}"
retry = 0
[[check.step]]
name = "again"
type = "http"
url = "https://x"
repeat = {{ when = ["status == 409"], after = "http-2", times = 2 }}
for_each = "${{steps.http-2.json.items}}"
query = {{ id = "${{each.id}}" }}
"""


def test_steps_without_names_are_called_by_type_and_number(shop: Any) -> None:
    steps = shop.check(FLOW.format(more="")).steps
    assert [step.name for step in steps] == ["http", "http-2", "again"]
    assert steps[2].repeat == Repeat(when=("status == 409",), after="http-2", times=2)
    assert steps[2].for_each == "${steps.http-2.json.items}"


def test_a_flow_hands_down_what_its_steps_do_not_say(shop: Any) -> None:
    check = shop.check(
        FLOW.format(more='retry = 2\nregion = "eu-west-1"\nidempotent = true\nexpect = ["steps.again.status == 200"]')
    )
    assert [step.retry.times for step in check.steps if step.retry] == [2, 0, 2]
    assert {step.region for step in check.steps} == {"eu-west-1"}
    assert all(step.idempotent for step in check.steps)
    assert check.expect == ("steps.again.status == 200",)


@pytest.mark.parametrize(
    ("of_check", "of_step", "check_mutates", "step_mutates"),
    [
        ("", "mutates = true", True, True),
        ("", "mutates = false", False, False),
        ("mutates = true", "", True, True),
        ("mutates = false", "", False, False),
        ("mutates = false", "mutates = true", True, True),
        ("mutates = true", "mutates = false", True, False),
    ],
)
def test_mutation_is_said_on_the_check_or_the_step(
    shop: Any, of_check: str, of_step: str, check_mutates: bool, step_mutates: bool
) -> None:
    check = shop.check(
        f"""
[[check]]
name = "f"
type = "flow"
{of_check}
[[check.step]]
type = "http"
method = "POST"
url = "https://x"
{of_step}
[[check.step]]
type = "http"
url = "https://x"
"""
    )
    assert check.mutates is check_mutates
    inherited = {"": None, "mutates = true": True, "mutates = false": False}[of_check]
    assert [step.mutates for step in check.steps] == [step_mutates, inherited]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_methods_need_no_word_about_mutation(shop: Any, method: str) -> None:
    assert not shop.check(http(f'method = "{method}"')).mutates


def test_composites_and_fixed_checks(shop: Any) -> None:
    text = http(name="a") + http(name="b")
    text += '[[check]]\nname = "both"\ntype = "all"\nof = ["a", "shop/b"]\nexpect = ["passed == 2"]\n'
    text += '[[check]]\nname = "no"\ntype = "skip"\nreason = "not yet"\n'
    _, _, both, no = shop.load(text).checks
    assert (both.of, both.expect) == (("shop/a", "shop/b"), ("passed == 2",))
    assert both.steps[0].expect == ()
    assert no.steps[0].params == {"reason": "not yet"}


def test_a_type_that_reads_its_checks_name(shop: Any) -> None:
    text = '[[check]]\nname = "api.shop.example"\ntype = "dns"\nexpect = ["answers exists"]'
    check = shop.check(text)
    assert check.id == "shop/api-shop-example"
    assert check.steps[0].params["name"] == "api.shop.example"


def test_a_type_of_its_own_id_reads_it_in_steps_only(shop: Any) -> None:
    text = """
[[check]]
id = "t"
name = "t"
type = "flow"
[[check.step]]
type = "traces"
id = "${trace_id}"
"""
    check = shop.check(text)
    assert (check.id, check.steps[0].params) == ("t", {"id": "${trace_id}"})


def test_dates_reach_a_check_as_text(shop: Any) -> None:
    step = shop.check(
        http("method = 'POST'\nmutates = true\njson = { at = 2026-11-20T08:00:00Z, day = [2026-11-20] }")
    ).steps[0]
    assert step.params["json"] == {"at": "2026-11-20T08:00:00Z", "day": ["2026-11-20"]}


def test_plain_values_may_stand_in_common_keys(shop: Any) -> None:
    shop.environ = {"REGION": "eu-central-1", "ON": "true", "TIMES": "3"}
    check = shop.check(
        http(
            """
timeout = "${vars.slow}"
region = "${env.REGION}"
enabled = "${env.ON}"
retry = { times = "${env.TIMES}" }
poll = { within = "${vars.slow}", until = ["status == ${matrix.n}"] }
matrix = { n = [200] }
"""
        ),
        CONFIG,
    )
    step = check.steps[0]
    assert (step.timeout_s, step.region, step.poll.within_s) == (20.0, "eu-central-1", 20.0)
    assert (check.enabled, step.retry.times) == (True, 3)
    assert type(step.region) is str
    assert step.poll.until == ("status == ${matrix.n}",)


@pytest.mark.parametrize(
    ("file", "name", "id_"),
    [
        ("orders.toml", "orders api answers", "orders/orders-api-answers"),
        ("Shop/Deep Folder/Orders v2.toml", "GET /orders?x=1", "shop/deep-folder/orders-v2/get-orders-x-1"),
        ("übung.toml", "Größe ist ½ – 日本語 नमस्ते", "übung/größe-ist-1-2-日本語-नमस्ते"),
        ("a.b.toml", "x", "a-b/x"),
    ],
)
def test_ids_are_slugs_of_path_and_name(shop: Any, file: str, name: str, id_: str) -> None:
    assert shop.load({file: http(name=name)}).checks[0].id == id_


def test_a_matrix_gives_a_case_per_combination(shop: Any) -> None:
    checks = shop.load(
        http('matrix = { origin = ["a", "b"], path = ["/x", "/y z"] }\nheaders = { Origin = "${matrix.origin}" }')
    ).checks
    assert [check.id for check in checks] == ["shop/c.a-x", "shop/c.a-y-z", "shop/c.b-x", "shop/c.b-y-z"]
    assert [check.name for check in checks][:2] == ["c [a, /x]", "c [a, /y z]"]
    assert checks[1].matrix == {"origin": "a", "path": "/y z"}
    assert checks[1].steps[0].params["headers"] == {"Origin": "${matrix.origin}"}


def test_a_matrix_may_name_its_cases_itself(shop: Any) -> None:
    text = http('id = "q.${matrix.o}"\ntitle = "T"\nmatrix = { o = ["a", 1, true] }', name="c ${matrix.o} d")
    assert [(check.id, check.name, check.title) for check in shop.load(text).checks] == [
        ("q.a", "c a d", "T [a]"),
        ("q.1", "c 1 d", "T [1]"),
        ("q.true", "c true d", "T [true]"),
    ]


def test_cases_that_would_share_an_id_are_refused(shop: Any) -> None:
    assert shop.mistake(http('matrix = { p = ["/x", "x"] }')) == (
        'checks/shop.toml:2:1: check "c": id "shop/c.x" is already used by checks/shop.toml:1:1, check "c [/x]"; '
        "choose another name or id"
    )


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(shop: Any) -> None:
    shop.write("checks/shop.toml", "")
    (shop.root / "checks/shop.toml").write_bytes(b"\xef\xbb\xbf" + http().replace("\n", "\r\n").encode())
    assert [check.id for check in shop.load({}).checks] == ["shop/c"]


FLOW_FOR_STEPS = """
[[check]]
name = "a flow"
type = "flow"
timeout = "60s"
step_timeout = "7s"
base_url = "https://shop.example/Prod/"
auth = { bearer = "${captured.token}" }
[[check.step]]
name = "login"
type = "http"
url = "/login"
auth = false
capture = { token = { path = "json.token", secret = true } }
[[check.step]]
name = "orders"
type = "http"
url = "/orders?x=1"
timeout = "1s"
[[check.step]]
name = "elsewhere"
type = "http"
url = "https://other.example/orders"
[[check.step]]
name = "port"
type = "tcp"
host = "shop.example"
port = 443
expect = ["connect < 1s"]
[[check.cleanup]]
type = "http"
url = "/orders"
headers = { authorization = "mine" }
"""


def test_D_steps_inherit_timeout_base_url_and_auth_unless_they_say_otherwise(shop: Any) -> None:
    check = shop.check(FLOW_FOR_STEPS)
    login, orders, elsewhere, port = check.steps
    assert check.timeout_s == 60
    assert [step.timeout_s for step in check.steps] == [7, 1, 7, 7]
    assert login.params == {"url": "https://shop.example/Prod/login"}
    bearer = {"bearer": "${captured.token}"}
    assert orders.params == {"url": "https://shop.example/Prod/orders?x=1", "auth": bearer}
    # An absolute URL may be that of another host, which must not receive the token.
    assert elsewhere.params == {"url": "https://other.example/orders"}
    assert "auth" not in port.params
    assert "auth" not in check.cleanup[0].params
    assert check.cleanup[0].timeout_s == 7


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://x", "https://x/orders/${vars.id}"),
        ("https://x/v1///", "https://x/v1/orders/${vars.id}"),
        ("${vars.api}", "${vars.api | join('')}orders/${vars.id}"),
        (
            "https://${vars.host}/${vars.path | lower}",
            "https://${vars.host}/${vars.path | lower | join('')}orders/${vars.id}",
        ),
    ],
)
def test_a_base_url_and_a_url_are_joined_by_one_slash(base_url: str, url: str) -> None:
    assert joined_url(base_url, "/orders/${vars.id}") == url


def test_without_base_url_the_auth_of_a_flow_is_that_of_all_its_http_steps(shop: Any) -> None:
    text = FLOW_FOR_STEPS.replace('base_url = "https://shop.example/Prod/"\n', "").replace(
        '"/', '"https://shop.example/'
    )
    steps = shop.check(text).steps
    assert ["auth" in step.params for step in steps] == [False, True, True, False]


def test_an_inherited_auth_is_known_where_a_step_uses_it(shop: Any) -> None:
    line = shop.mistake(FLOW_FOR_STEPS.replace("auth = false\n", ""))
    assert line.startswith("checks/shop.toml:8:")
    assert '${captured.token} is known only after step "login"' in line


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ('step_timeout = "soon"', '"step_timeout" must be a duration'),
        ('base_url = "shop.example"', "`base_url` must begin with http:// or https://"),
        ('base_url = "https://x/?a=1"', "`base_url` has neither `?` nor `#`"),
        ('base_url = "${vars.nope}"', "variable nope is not defined"),
        ("auth = { bearer = 'x', header = { name = 'a', value = 'b' } }", "`auth` needs exactly one of"),
    ],
)
def test_a_mistake_in_a_key_for_all_steps_is_reported_once(shop: Any, written: str, sentence: str) -> None:
    text = (
        f'[[check]]\nname = "f"\ntype = "flow"\n{written}\n[[check.step]]\ntype = "http"\nurl = "https://x.example/"\n'
    )
    assert sentence in shop.mistake(text)


def test_D_each_table_of_a_matrix_is_one_case(shop: Any) -> None:
    text = """
[[check]]
name = "orders are allowed from"
type = "http"
url = "https://${matrix.shop.host}/${matrix.version}"
expect = ["status == ${matrix.shop.code}"]
matrix.version = [1, 2]
[[check.matrix.shop]]
host = "a.example"
name = "Graz Süd"
code = 200
[[check.matrix.shop]]
host = "b.example"
code = 404
"""
    checks = shop.load(text).checks
    assert [check.id for check in checks] == [
        f"shop/orders-are-allowed-from.{suffix}"
        for suffix in ("1-graz-süd", "1-b-example", "2-graz-süd", "2-b-example")
    ]
    assert checks[0].name == "orders are allowed from [1, Graz Süd]"
    assert checks[3].matrix == {"version": 2, "shop": {"host": "b.example", "code": 404}}


def test_D_an_id_takes_a_value_of_a_matrix_table(shop: Any) -> None:
    text = """
[[check]]
id = "shop-${matrix.shop.code}"
name = "shop"
type = "pass"
matrix = { shop = [{ name = "a", code = 7 }, { name = "b", code = 8 }] }
"""
    assert [check.id for check in shop.load(text).checks] == ["shop-7", "shop-8"]


def test_D_tables_of_one_name_are_two_checks_of_one_id(shop: Any) -> None:
    text = """
[[check]]
name = "shop"
type = "pass"
matrix = { shop = [{ name = "a", code = 7 }, { name = "A", code = 8 }] }
"""
    assert "shop/shop.a" in shop.mistake(text)


UNDO = """
[[check]]
name = "f"
type = "flow"
mutates = true
vars.id = "TEST-${uid}"
base_url = "https://shop.example"
[[check.step]]
name = "put"
type = "dynamodb"
operation = "put"
table = "orders"
region = "eu-west-1"
item = { id = "${vars.id}" }
undo = { operation = "delete", key = { id = "${vars.id}" } }
[[check.step]]
name = "post"
type = "http"
method = "POST"
url = "/orders"
headers = { x = "y" }
capture = { id = "json.id" }
undo = { method = "DELETE", url = "/orders/${captured.id}" }
[[check.step]]
name = "object"
type = "s3"
operation = "put"
bucket = "b"
key = "${vars.id}"
body = "x"
undo = { operation = "delete" }
[[check.cleanup]]
name = "last"
type = "sqs"
queue = "q"
operation = "delete"
own = "${vars.id}"
"""


def test_D_an_undo_is_a_cleanup_of_its_step_with_the_same_target(shop: Any) -> None:
    put, post, stored, written = shop.check(UNDO).cleanup
    assert put.params == {"table": "orders", "operation": "delete", "key": {"id": "${vars.id}"}}
    assert (put.type, put.undoes, put.region, put.mutates) == ("dynamodb", "put", "eu-west-1", True)
    assert post.params == {"url": "https://shop.example/orders/${captured.id}", "method": "DELETE"}
    assert stored.params == {"bucket": "b", "key": "${vars.id}", "operation": "delete"}
    assert (written.name, written.undoes) == ("last", None)
