"""What every check type says of itself: complete, true to its probe, and the same in the reference pages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli
from botocore.session import get_session

from docs.writers.check_types import pages
from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes import registry
from prodwatch.probes.mutation_rules import WRITING_READS, aws_mutation, is_open, pascal
from prodwatch.settings import load_project
from prodwatch.settings.flow_builder import with_flow_keys

TYPES = sorted(registry.BUILT_IN)
PAGES = Path(__file__).parents[2] / "docs/reference/check-types"

CONTRACT = {
    "http": "url method headers query json form body body_file auth follow_redirects verify_tls http_version max_body",
    "tcp": "host port",
    "tls": "host port server_name",
    "dns": "name record server",
    "ping": "host count",
    "smtp": "host port starttls",
    "lambda": "function qualifier payload payload_file invocation copies stagger",
    "sqs": "queue operation body attributes own max",
    "dynamodb": "table operation key item condition index consistent",
    "s3": "bucket key operation body prefix",
    "aws": "service operation params paginate",
    "logs": "group filter since until version fields",
    "traces": "id filter since min",
    "metric": "namespace metric dimensions stat period window missing of",
    "alarm": "names prefix",
    "stack": "name",
    "release": "function alias",
    "sql": "url statement",
    "redis": "url command",
    "command": "argv env stdin cwd",
    "flow": "step cleanup",
    "wait": "for",
    "all": "of",
    "any": "of",
    "none": "of",
    "pass": "reason",
    "fail": "reason",
    "skip": "reason",
}


def spec_of(type_: str) -> ProbeSpec:
    spec = registry.spec(type_)
    assert spec is not None
    return spec


def test_exactly_the_promised_types_exist() -> None:
    assert set(TYPES) == set(CONTRACT)


@pytest.mark.parametrize("type_", TYPES)
def test_the_promised_keys_are_there(type_: str) -> None:
    assert set(CONTRACT[type_].split()) <= {key.name for key in spec_of(type_).keys}


@pytest.mark.parametrize("type_", TYPES)
def test_every_sentence_is_one(type_: str) -> None:
    spec = spec_of(type_)
    assert spec.type == type_
    assert spec.title
    assert spec.doc
    described: list[Key | Field] = [*all_keys(spec.keys), *spec.fields]
    for each in described:
        assert each.doc.endswith("."), each.name
        assert each.doc[0] == "`" or each.doc[0].isupper() or each.doc[0].isdigit(), each.name


def all_keys(keys: tuple[Key, ...]) -> list[Key]:
    return [each for key in keys for each in (key, *all_keys(key.keys))]


@pytest.mark.parametrize("type_", TYPES)
def test_groups_name_keys_that_exist(type_: str) -> None:
    spec = spec_of(type_)
    names = {key.name for key in spec.keys}
    assert {name for group in (*spec.one_of, *spec.at_most_one) for name in group} <= names
    leading = {field.name.split(".")[0] for field in spec.fields}
    assert {each.split()[0] for each in spec.implicit_expect} <= leading


@pytest.mark.parametrize("type_", TYPES)
def test_the_example_loads(type_: str, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/prod.toml").write_text("")
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/example.toml").write_text(spec_of(type_).example)
    checks = load_project(root=tmp_path, env="prod", environ={}).checks
    assert type_ in {check.type for check in checks} | {step.type for check in checks for step in check.steps}


@pytest.mark.parametrize("type_", TYPES)
def test_a_type_the_runner_does_not_run_itself_has_a_probe(type_: str) -> None:
    if spec_of(type_).needs_probe:
        assert callable(registry.probe(type_))


def test_specs_and_registry_import_nothing_heavy() -> None:
    code = (
        "import sys; from prodwatch.probes import registry\n"
        "for name in registry.names(): registry.spec(name)\n"
        "heavy = set('asyncio aiohttp botocore boto3 aiobotocore yarl dns cryptography sqlalchemy'.split())\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted({*pages(), *(path.name for path in PAGES.glob("*.md"))}))
def test_the_reference_pages_are_up_to_date(name: str) -> None:
    path = PAGES / name
    found = path.read_text(encoding="utf-8") if path.exists() else None
    assert found == pages().get(name), "run `python -m docs.writers.check_types docs/reference/check-types`"


@pytest.mark.parametrize(
    ("type_", "params", "reason"),
    [
        ("http", {}, None),
        ("http", {"method": "get"}, None),
        ("http", {"method": "HEAD"}, None),
        ("http", {"method": "OPTIONS"}, None),
        ("http", {"method": "post"}, "HTTP POST may change something on the server"),
        ("http", {"method": "${vars.method}"}, "its `method` is known only at run time"),
        ("http", {"method": "$${x}"}, "HTTP $${X} may change something on the server"),
        ("lambda", {}, "invoking a function runs its code"),
        ("lambda", {"invocation": "sync"}, "invoking a function runs its code"),
        ("lambda", {"invocation": "async"}, "invoking a function runs its code"),
        ("lambda", {"invocation": "dry-run"}, None),
        ("lambda", {"invocation": "${vars.how}"}, "its `invocation` is known only at run time"),
        ("sqs", {}, None),
        ("sqs", {"operation": "depth"}, None),
        ("sqs", {"operation": "send"}, "sending adds a message to the queue"),
        (
            "sqs",
            {"operation": "receive"},
            "receiving hides messages from their consumers and raises their receive count",
        ),
        ("sqs", {"operation": "peek"}, "peeking briefly hides messages and raises their receive count"),
        ("sqs", {"operation": "delete"}, "deleting removes messages"),
        ("dynamodb", {}, None),
        *(("dynamodb", {"operation": each}, None) for each in ("get", "query", "scan", "count")),
        ("dynamodb", {"operation": "put"}, "a put writes an item"),
        ("dynamodb", {"operation": "update"}, "an update changes an item"),
        ("dynamodb", {"operation": "delete"}, "a delete removes an item"),
        ("s3", {}, None),
        *(("s3", {"operation": each}, None) for each in ("get", "head", "list")),
        ("s3", {"operation": "put"}, "a put writes an object"),
        ("s3", {"operation": "delete"}, "a delete removes an object"),
        ("sql", {}, "a SQL statement may change data"),
        ("redis", {}, "a Redis command may change data"),
        ("command", {}, "a command may change anything"),
        *(
            (each, {}, None)
            for each in [
                "tcp",
                "tls",
                "dns",
                "ping",
                "smtp",
                "logs",
                "traces",
                "metric",
                "alarm",
                "stack",
                "release",
                "wait",
                "pass",
            ]
        ),
        ("aws", {}, None),
        ("aws", {"service": "ec2", "operation": "describe-instances"}, None),
        (
            "aws",
            {"service": "ec2", "operation": "TerminateInstances"},
            "ec2:TerminateInstances is not named like a read, so it may change something",
        ),
        (
            "aws",
            {"service": "ec2", "operation": "${vars.op}"},
            "its operation is known only at run time",
        ),
        ("aws", {"service": "${vars.service}", "operation": "list-things"}, "its operation is known only at run time"),
    ],
)
def test_what_mutates(type_: str, params: dict[str, Any], reason: str | None) -> None:
    assert spec_of(type_).mutation(params) == reason


@pytest.mark.parametrize(
    ("service", "operation", "reads"),
    [
        *(
            (service, operation, True)
            for service, operation in [
                ("sqs", "GetQueueUrl"),
                ("dynamodb", "Query"),
                ("dynamodb", "Scan"),
                ("logs", "FilterLogEvents"),
                ("cloudtrail", "LookupEvents"),
                ("resource-explorer-2", "Search"),
                ("s3", "HeadBucket"),
                ("codebuild", "BatchGetBuilds"),
                ("iam", "list_roles"),
                ("sts", "get-caller-identity"),
                ("managedblockchain-query", "GetTokenBalance"),
                ("waf", "GetChangeTokenStatus"),
                ("kms", "GetParametersForImport"),
                ("secretsmanager", "GetSecretValue"),
                ("ce", "ListCostAllocationTags"),
            ]
        ),
        *(
            (service, operation, False)
            for service, operation in [
                ("sqs", "ReceiveMessage"),
                ("s3", "PutObject"),
                ("sts", "GetSessionToken"),
                ("ecr", "get-authorization-token"),
                ("cognito-identity", "GetCredentialsForIdentity"),
                ("redshift", "GetClusterCredentialsWithIAM"),
                ("ce", "GetCostAndUsage"),
                ("stepfunctions", "GetActivityTask"),
                ("kinesis", "GetterThing"),
                ("lakeformation", "GetTemporaryGlueTableCredentials"),
                ("cognito-idp", "GetTokensFromRefreshToken"),
                ("iot", "Listen"),
                ("x", "Scanner"),
                ("sts", "GetWebIdentityToken"),
                ("sts", "AssumeRole"),
                ("logs", "StartQuery"),
                ("sagemaker", "CreatePresignedDomainGetUrl"),
            ]
        ),
    ],
)
def test_which_aws_operations_read(service: str, operation: str, reads: bool) -> None:
    assert (aws_mutation(service, operation) is None) is reads


def test_every_listed_exception_is_an_operation_of_aws_and_a_mutation_with_its_reason() -> None:
    session = get_session()
    for each, why in WRITING_READS.items():
        service, _, operation = each.partition(":")
        assert operation in session.get_service_model(service).operation_names
        assert aws_mutation(service, operation) == f"{each} {why}"


@pytest.mark.parametrize(
    ("value", "filled_at_run_time"),
    [("get", False), ("${vars.op}", True), ("get-$${x}", False), ("$${x}-${vars.op}", True), (None, False)],
)
def test_a_doubled_dollar_is_text_and_not_filled_at_run_time(value: Any, filled_at_run_time: bool) -> None:
    assert is_open(value) is filled_at_run_time


@pytest.mark.parametrize("type_", ["sqs", "dynamodb", "s3"])
def test_only_deletes_are_deletes(type_: str) -> None:
    spec = registry.spec(type_)
    assert spec is not None
    assert spec.deletes is not None
    assert all(spec.deletes({"operation": each}) for each in ("delete", "delete_all"))
    assert not any(spec.deletes({"operation": each}) for each in ("get", "put", "send", "purge", "${vars.op}"))
    assert not spec.deletes({})


@pytest.mark.parametrize("name", ["DescribeStacks", "describe-stacks", "describe_stacks"])
def test_operations_in_every_spelling(name: str) -> None:
    assert pascal(name) == "DescribeStacks"


@pytest.mark.parametrize(
    ("type_", "params", "says"),
    [
        ("http", {"url": "shop.example"}, "http://"),
        ("http", {"url": "http://x", "auth": {}}, "exactly one of"),
        ("http", {"url": "http://x", "auth": {"bearer": "x", "basic": {}}}, "not 2"),
        ("sqs", {"operation": "send"}, "needs a `body`"),
        ("sqs", {"operation": "peek", "body": "x"}, 'only allowed with operation "send"'),
        ("dynamodb", {"table": "t"}, "needs `key`"),
        ("dynamodb", {"operation": "put"}, "needs `item`"),
        ("s3", {"operation": "put", "key": "k"}, "needs `body`"),
        ("s3", {}, "needs `key`"),
        ("command", {"argv": []}, "at least the program"),
    ],
)
def test_combinations_that_cannot_run(type_: str, params: dict[str, Any], says: str) -> None:
    (sentence,) = spec_of(type_).problems(params)
    assert says in sentence


@pytest.mark.parametrize("type_", TYPES)
def test_a_usable_combination_has_no_problem(type_: str) -> None:
    for check in tomli.loads(spec_of(type_).example)["check"]:
        for written in check.get("step", [check]):
            step = with_flow_keys(check, written)
            spec = registry.spec(step["type"])
            assert spec is not None
            assert spec.problems(step) == ()


@pytest.mark.parametrize("type_", ["sqs", "dynamodb", "s3"])
def test_an_operation_known_only_at_run_time_is_no_problem_yet(type_: str) -> None:
    assert spec_of(type_).problems({"operation": "${vars.op}"}) == ()
    assert spec_of(type_).mutation({"operation": "${vars.op}"}) is not None
