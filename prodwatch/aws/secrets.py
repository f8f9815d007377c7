"""Reads secrets from environment variables, SSM and Secrets Manager; values are kept in memory only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.aws.single_flight import SingleFlight
from prodwatch.model.environment import SecretReference
from prodwatch.text.redact import MIN_LENGTH


class Secrets:
    """Values of `[secrets]`, each read once per run."""

    def __init__(self, aws: AwsApi, environ: Mapping[str, str]) -> None:
        self._aws = aws
        self._environ = environ
        self._values: dict[SecretReference, SingleFlight[str]] = {}

    async def value(self, reference: SecretReference) -> str:
        """Return the secret.

        LookupError when it does not exist or is too short to be masked safely; AwsError when it could not be read. No
        message contains the value.
        """
        if reference not in self._values:
            self._values[reference] = SingleFlight(lambda: self._read(reference))
        return await self._values[reference].get()

    async def _read(self, reference: SecretReference) -> str:
        where, text = await self._text(reference)
        if reference.field is not None:
            text = _field(text, reference.field, where)
        if len(text) < MIN_LENGTH:
            raise LookupError(
                f"{where} has fewer than {MIN_LENGTH} characters, too short to be masked safely; use a longer one"
            )
        return text

    async def _text(self, reference: SecretReference) -> tuple[str, str]:
        """Return the secret's location for messages, and its text."""
        if reference.env is not None:
            where = f"environment variable {reference.env}"
            value = self._environ.get(reference.env)
            if value is None:
                raise LookupError(f"{where} is not set; [secrets] needs it, export it first")
            return where, value
        if reference.ssm is not None:
            return await self._from_ssm(reference, reference.ssm)
        assert reference.secretsmanager is not None, "settings lets only complete references through"
        return await self._from_secrets_manager(reference, reference.secretsmanager)

    async def _from_ssm(self, reference: SecretReference, name: str) -> tuple[str, str]:
        where = f"SSM parameter {name}"
        try:
            response = await self._aws.call(
                "ssm",
                "GetParameter",
                {"Name": name, "WithDecryption": True},
                account=reference.account,
                region=reference.region,
            )
        except AwsError as error:
            raise _missing(error, where, self._region(reference), "ParameterNotFound") from error
        return where, str(response["Parameter"]["Value"])

    async def _from_secrets_manager(self, reference: SecretReference, name: str) -> tuple[str, str]:
        where = f"Secrets Manager secret {name}"
        try:
            response = await self._aws.call(
                "secretsmanager",
                "GetSecretValue",
                {"SecretId": name},
                account=reference.account,
                region=reference.region,
            )
        except AwsError as error:
            raise _missing(error, where, self._region(reference), "ResourceNotFoundException") from error
        if "SecretString" in response:
            return where, str(response["SecretString"])
        try:
            return where, bytes(response["SecretBinary"]).decode()
        except UnicodeDecodeError:
            raise LookupError(f"{where} is binary; only text is supported") from None

    def _region(self, reference: SecretReference) -> str:
        return reference.region or self._aws.region_name(reference.account) or "no region"


def _missing(error: AwsError, where: str, region: str, code: str) -> Exception:
    return LookupError(f"{where} does not exist in {region}") if error.code == code else error


def _field(text: str, field: str, where: str) -> str:
    try:
        fields = json.loads(text, parse_float=Decimal)
    except ValueError:
        raise LookupError(f"{where} is not JSON, so it has no field {field}") from None
    if not isinstance(fields, dict) or field not in fields:
        names = ", ".join(sorted(map(str, fields))) if isinstance(fields, dict) else ""
        raise LookupError(f"{where} has no field {field}; fields: {names or 'none'}")
    value = fields[field]
    if isinstance(value, str):
        return value
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    raise LookupError(f"field {field} of {where} is not text")
