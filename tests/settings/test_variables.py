"""Every `${…}` in files, followed before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

CONFIG = """\
[stacks]
shop = "shop-prod"
[vars]
api = "${stack.shop.ApiUrl}"
host = "db"
nested = { a = { b = 1 } }
[secrets]
token = { env = "SHOP_TOKEN" }
"""


def http(more: str = "", url: str = "https://x", name: str = "c") -> str:
    return f'[[check]]\nname = "{name}"\ntype = "http"\nurl = "{url}"\nexpect = ["status == 200"]\n{more}\n'


@pytest.mark.parametrize(
    "reference",
    [
        "vars.api",
        "vars.nested.a.b",
        "vars.nix | default('x')",
        "env.SET",
        "env.NIX | default('x')",
        "secret.token",
        "stack.shop.Any-Output_1",
        "run.id",
        "uid",
        "now | shift('-5m') | format_time('%H')",
        "account",
        "region",
        "trace_id",
        "release.version",
        "release.started_at",
        "matrix.m",
        "vars.own",
    ],
)
def test_what_is_defined(shop: Any, reference: str) -> None:
    shop.environ = {"SET": "1"}
    shop.load(http('matrix = { m = [1] }\nvars = { own = "${vars.host}" }', url=f"https://x/${{{reference}}}"), CONFIG)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("vars.apu", 'variable apu is not defined (did you mean "api"?)'),
        ("vars", "${vars} needs a name: ${vars.name}"),
        ("env.NIX", "environment variable NIX is not set; set it or write ${env.NIX | default('…')}"),
        ("secret.tokn", 'secret tokn is not defined (did you mean "token"?)'),
        ("stack.shpo.X", 'stack shpo is not defined (did you mean "shop"?)'),
        ("stack.shop", "${stack.shop} must name a stack and an output: ${stack.alias.Output}"),
        ("matrix.m", "matrix value m is not defined"),
        ("captured.x", "captured value x is not defined"),
        ("steps.x.status", "step x is not defined"),
        ("each", '${each} needs a "for_each" on the same step'),
        ("each.id", '${each.id} needs a "for_each" on the same step'),
        (
            "release",
            (
                "${release} is unknown; use ${release.version}, ${release.previous}, ${release.serving}, "
                "${release.started_at}, ${release.state}"
            ),
        ),
        ("run.uid", "${run.uid} is unknown; use ${run.id}"),
        ("uid.x", "${uid.x} has no fields; write ${uid}"),
        ("stak.shop.X", 'unknown scope "stak" in ${stak.shop.X} (did you mean "stack"?)'),
        ("id", 'unknown scope "id" in ${id} (did you mean "uid"?)'),
        ("vars.api | uper", 'unknown filter "uper" (did you mean "upper"?)'),
        ("vars.api", None),
    ],
)
def test_what_is_not(shop: Any, reference: str, message: str | None) -> None:
    text = http(url=f"https://x/${{{reference}}}")
    if message is None:
        shop.load(text, CONFIG)
    else:
        line = shop.mistake(text, CONFIG)
        place, found = line.split(' check "c": ')
        assert found == message
        assert place.startswith("checks/shop.toml:4:")


@pytest.mark.parametrize(
    ("more", "place"),
    [
        pytest.param('headers = { a = "${vars.nix}" }', "6:18", id="in a table"),
        pytest.param('warn = ["status == 200", "json.a == \'${vars.nix}\'"]', "6:38", id="in an assertion"),
        pytest.param('capture = { a = "json.${vars.nix}" }', None, id="in a path"),
        pytest.param('links = { a = "${vars.nix}" }', "6:16", id="in a link"),
        pytest.param('vars = { a = ["${vars.nix}"] }', "6:16", id="in a variable"),
        pytest.param('serial = "${vars.nix}"', "6:11", id="in a serial group"),
        pytest.param('poll = { until = ["status == ${vars.nix}"] }', "6:30", id="in until"),
        pytest.param('timeout = "${vars.nix}"', "6:12", id="in what must be known at once"),
        pytest.param('body = """\nx\n${vars.nix}"""', "8:1", id="on the line of a long text"),
        pytest.param('body = "\\u00e9${vars.nix}"', "6:15", id="behind an escape"),
        pytest.param('query = { "${vars.nix}" = 1 }', "6:11", id="in a key"),
    ],
)
def test_where_it_is_said(shop: Any, more: str, place: str | None) -> None:
    lines = shop.mistakes(http(more + '\nmethod = "GET"'))
    if place is not None:
        assert [line.split(": ")[0] for line in lines] == [f"checks/shop.toml:{place}"]
    assert all("nix" in line for line in lines)


FLOW = """\
[[check]]
name = "f"
type = "flow"
mutates = true
vars = {{ id = "TEST-${{uid}}" }}
{check}
[[check.step]]
name = "one"
type = "http"
url = "https://x"
capture = {{ a = "json.a" }}
{one}
[[check.step]]
name = "two"
type = "http"
url = "https://x"
capture = {{ b = "json.b" }}
{two}
[[check.cleanup]]
type = "http"
method = "DELETE"
url = "https://x"
{cleanup}
"""


@pytest.mark.parametrize(
    "parts",
    [
        {"two": 'query = { a = "${captured.a}", s = "${steps.one.json.x}", id = "${vars.id}" }'},
        {"cleanup": 'query = { a = "${captured.a}", b = "${captured.b}", s = "${steps.two.status}" }'},
        {"check": "expect = [\"steps.one.json.a == '${captured.b}'\"]"},
        {"two": 'for_each = "${steps.one.json.items}"\nquery = { a = "${each.id}" }'},
        {"two": 'for_each = "${captured.a}"\nquery = { a = "${each}" }'},
    ],
)
def test_what_steps_may_use(shop: Any, parts: dict[str, str]) -> None:
    shop.load(FLOW.format(**{"check": "", "one": "", "two": "", "cleanup": ""} | parts))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"one": 'body = "${captured.b}"'}, 'step "one": ${captured.b} is known only after step "two"'),
        (
            {"one": 'body = "${steps.two.status}"'},
            'step "one": ${steps.two.status} is known only after step "two"',
        ),
        ({"one": 'body = "${captured.a}"'}, 'step "one": ${captured.a} is known only after step "one"'),
        ({"two": 'body = "${captured.c}"'}, 'step "two": captured value c is not defined; known: a'),
        ({"two": 'for_each = "${each.x}"'}, 'step "two": ${each.x} needs a "for_each" on the same step'),
        (
            {"check": 'serial = "${captured.a}"'},
            "${captured.a} cannot be used here; captured is only available in checks",
        ),
        ({"cleanup": 'body = "${captured.c}"'}, 'cleanup "http": captured value c is not defined; known: a, b'),
    ],
)
def test_what_steps_may_not_use(shop: Any, parts: dict[str, str], message: str) -> None:
    line = shop.mistake(FLOW.format(**{"check": "", "one": "", "two": "", "cleanup": ""} | parts))
    assert line.split('check "f"')[1].lstrip(",: ") == message


class TestRequires:
    """`requires` turns a missing input into a skip."""

    def test_it_excuses_what_may_be_missing(self, shop: Any) -> None:
        text = http(
            'requires = ["env.NIX", "vars.nix", "stack.shop.TestTable", "secret.token"]', url="${env.NIX}${vars.nix}"
        )
        assert shop.check(text, CONFIG).requires == ("env.NIX", "vars.nix", "stack.shop.TestTable", "secret.token")

    @pytest.mark.parametrize(
        ("written", "message"),
        [
            ("stack.shpo.X", 'stack shpo is not defined (did you mean "shop"?)'),
            ("secret.nix", "secret nix is not defined; known: token"),
            (
                "${stack.shop.X}",
                'a requirement is a reference without ${ }, such as "stack.shop.TestTable" or "env.TOKEN"',
            ),
            ("TestTable", 'a requirement is a reference without ${ }, such as "stack.shop.TestTable" or "env.TOKEN"'),
            ("stak.shop.X", 'unknown scope "stak" in stak.shop.X (did you mean "stack"?)'),
        ],
    )
    def test_but_not_what_nobody_declared(self, shop: Any, written: str, message: str) -> None:
        assert shop.mistake(http(f'requires = ["{written}"]'), CONFIG) == f'checks/shop.toml:6:13: check "c": {message}'


class TestSelection:
    """A variable that is missing here and now is a mistake only in a check that will run."""

    TEXT = http(url="https://x/${env.NIX}/${vars.nix}/${stack.nix.X}") + http(name="d")

    def test_selected(self, shop: Any) -> None:
        assert len(shop.mistakes(self.TEXT)) == 3

    def test_not_selected(self, shop: Any) -> None:
        assert len(shop.load(self.TEXT, selected=lambda check: check.name == "d").checks) == 2

    def test_in_a_key_that_is_filled_at_once(self, shop: Any) -> None:
        text = http('timeout = "${env.NIX}"')
        assert len(shop.mistakes(text)) == 1
        assert len(shop.load(text, selected=lambda _check: False).checks) == 1

    def test_of_another_environment(self, shop: Any) -> None:
        shop.write("config/staging.toml", "")
        text = http('environments = ["staging"]', url="https://x/${env.NIX}")
        assert shop.load(text).checks == ()

    def test_what_can_be_right_nowhere_is_a_mistake_all_the_same(self, shop: Any) -> None:
        text = http(url="https://x/${nix.a}/${vars.a | nix}")
        assert len(shop.mistakes(text, selected=lambda _check: False)) == 1
        assert len(shop.mistakes(http(url="https://x/${nix.a}"), selected=lambda _check: False)) == 1


class TestEnvironmentVariables:
    """What `[vars]` are made of."""

    def test_a_missing_one_matters_where_it_is_used(self, shop: Any) -> None:
        config = '[vars]\na = "${env.NIX}"\nunused = "${env.ALSO_NIX}"\nb = "x${vars.a}"\n'
        assert shop.mistake(http(url="${vars.b}"), config) == (
            "config/prod.toml:2:6: [vars]: environment variable NIX is not set; "
            "set it or write ${env.NIX | default('…')}"
        )
        shop.load(http(), config)
        shop.load(http(url="${vars.b | default('x')}"), config)

    def test_what_the_file_itself_uses(self, shop: Any) -> None:
        config = '[vars]\nf = "${env.NIX}"\n[[function]]\nname = "${vars.f}"\n'
        assert shop.mistake("", config).startswith("config/prod.toml:2:6: [vars]: environment variable NIX is not set")

    @pytest.mark.parametrize(
        ("config", "lines"),
        [
            ('[vars]\na = "${vars.a}"\n', ["2:1: [vars]: variable a refers to itself"]),
            (
                '[vars]\na = "${vars.b}"\nb = ["${vars.a}"]\n',
                ["2:1: [vars]: variable a refers to itself", "3:1: [vars]: variable b refers to itself"],
            ),
            ('[vars]\na = "${vars"\n', ["2:12: [vars]: the closing } is missing"]),
            (
                '[vars]\na = "${nix.a}"\n[[function]]\nname = "${vars.a}"',
                [
                    (
                        '2:6: [vars]: unknown scope "nix" in ${nix.a}; scopes: env, vars, secret, stack, resource, '
                        "captured, steps, matrix, each, run, uid, now, account, region, trace_id, release"
                    )
                ],
            ),
            (
                '[[function]]\nname = "${captured.x}"\n',
                ["2:9: [function]: ${captured.x} cannot be used here; captured is only available in checks"],
            ),
        ],
    )
    def test_mistakes(self, shop: Any, config: str, lines: list[str]) -> None:
        assert shop.mistakes("", config) == [f"config/prod.toml:{line}" for line in lines]

    def test_a_check_may_not_make_a_circle_with_them(self, shop: Any) -> None:
        config = '[vars]\na = "${vars.b}"\nb = "1"\n'
        line = shop.mistake(http('vars = { b = "${vars.a}" }', url="${vars.b}"), config)
        assert line == 'checks/shop.toml:6:10: check "c": variable b refers to itself'


class TestOverrides:
    """`--var name=value`."""

    CONFIG = '[vars]\napi = "https://a"\nport = 5432\nratio = 0.5\non = true\n'

    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("api", "https://b", "https://b"),
            ("api", "${env.X}", "$${env.X}"),
            ("port", "99", 99),
            ("ratio", "2", 2),
            ("on", "false", False),
        ],
    )
    def test_they_stand_before_the_file_in_its_types(self, shop: Any, name: str, text: str, value: Any) -> None:
        project = shop.load(http(), self.CONFIG, overrides={name: text})
        assert project.environment.vars[name] == value

    def test_a_wrong_type(self, shop: Any) -> None:
        line = shop.mistake(http(), self.CONFIG, overrides={"port": "x"})
        assert line == '--var port=x: "port" must be a whole number, not the text "x"; write it without quotes'

    def test_a_name_of_nothing(self, shop: Any) -> None:
        line = shop.mistake(http(), self.CONFIG, overrides={"prot": "1"})
        assert line == '--var prot: no file uses a variable of this name (did you mean "port"?)'

    def test_a_name_only_a_check_uses(self, shop: Any) -> None:
        shop.load(http(url="${vars.base}"), overrides={"base": "https://x"})

    def test_a_checks_own_variable_is_nearer(self, shop: Any) -> None:
        check = shop.check(
            http('vars = { api = "own" }\ntimeout = "${vars.t}"'), self.CONFIG + 't = "1s"', overrides={"t": "2s"}
        )
        assert (check.vars, check.steps[0].timeout_s) == ({"api": "own"}, 2.0)


CLEANED = """\
[[check]]
name = "c"
type = "flow"
mutates = true
[[check.step]]
name = "send"
type = "http"
method = "POST"
url = "https://x"
[[check.cleanup]]
name = "above"
type = "http"
method = "DELETE"
url = "https://x/${{steps.{above}.status}}"
[[check.cleanup]]
name = "below"
type = "http"
url = "https://x/${{steps.{below}.status}}"
"""


def test_a_cleanup_reads_the_steps_and_the_cleanups_below_it(shop: Any) -> None:
    shop.load(CLEANED.format(above="below", below="send"))


def test_a_cleanup_does_not_read_what_runs_after_it(shop: Any) -> None:
    text = CLEANED.format(above="send", below="above")
    assert '${steps.above.status} is known only after step "above"' in shop.mistake(text)
