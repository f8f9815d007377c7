"""Reads secrets from where they live; a value is handed on in memory only, to the check and to the redactor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.aws.single_flight import Once
from prodwatch.model.environment import SecretReference
from prodwatch.text.redact import MIN_LENGTH


class Secrets:
    """Values of `[secrets]`, each read once."""

    def __init__(self, aws: AwsApi, environ: Mapping[str, str]) -> None:
        self._aws = aws
        self._environ = environ
        self._found: dict[SecretReference, Once[str]] = {}

    async def value(self, reference: SecretReference) -> str:
        """Return the secret; LookupError when there is none, or one too short to be masked safely.

        AwsError when nobody could say. No message ever holds the value.
        """
        if reference not in self._found:
            self._found[reference] = Once(lambda: self._read(reference))
        return await self._found[reference].get()

    async def _read(self, reference: SecretReference) -> str:
        where, text = await self._text(reference)
        if reference.field is not None:
            text = _field(text, reference.field, where)
        if len(text) < MIN_LENGTH:
            raise LookupError(
                f"{where} has under {MIN_LENGTH} characters: too short to be masked safely, so it is refused"
            )
        return text

    async def _text(self, reference: SecretReference) -> tuple[str, str]:
        """Return where the secret lives, as people say it, and its text."""
        if reference.env is not None:
            where = f"environment variable {reference.env}"
            found = self._environ.get(reference.env)
            if found is None:
                raise LookupError(f"{where} is not set; it holds a secret of [secrets], export it first")
            return where, found
        if reference.ssm is not None:
            return await self._from_ssm(reference, reference.ssm)
        assert reference.secretsmanager is not None, "settings lets only complete references through"
        return await self._from_secrets_manager(reference, reference.secretsmanager)

    async def _from_ssm(self, reference: SecretReference, name: str) -> tuple[str, str]:
        where = f"SSM parameter {name}"
        try:
            answer = await self._aws.call(
                "ssm",
                "GetParameter",
                {"Name": name, "WithDecryption": True},
                account=reference.account,
                region=reference.region,
            )
        except AwsError as error:
            raise _missing(error, where, self._region(reference), "ParameterNotFound") from error
        return where, str(answer["Parameter"]["Value"])

    async def _from_secrets_manager(self, reference: SecretReference, name: str) -> tuple[str, str]:
        where = f"Secrets Manager secret {name}"
        try:
            answer = await self._aws.call(
                "secretsmanager",
                "GetSecretValue",
                {"SecretId": name},
                account=reference.account,
                region=reference.region,
            )
        except AwsError as error:
            raise _missing(error, where, self._region(reference), "ResourceNotFoundException") from error
        if "SecretString" in answer:
            return where, str(answer["SecretString"])
        try:
            return where, bytes(answer["SecretBinary"]).decode()
        except UnicodeDecodeError:
            raise LookupError(f"{where} is binary: only text can be used") from None

    def _region(self, reference: SecretReference) -> str:
        return reference.region or self._aws.region_name(reference.account) or "no region"


def _missing(error: AwsError, where: str, region: str, code: str) -> Exception:
    return LookupError(f"there is no {where} in {region}") if error.code == code else error


def _field(text: str, field: str, where: str) -> str:
    try:
        fields = json.loads(text, parse_float=Decimal)
    except ValueError:
        raise LookupError(f"{where} is not JSON, so it has no field {field}") from None
    if not isinstance(fields, dict) or field not in fields:
        known = ", ".join(sorted(map(str, fields))) if isinstance(fields, dict) else ""
        raise LookupError(f"{where} has no field {field}; it has {known or 'none'}")
    value = fields[field]
    if isinstance(value, str):
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    raise LookupError(f"field {field} of {where} is no text")
