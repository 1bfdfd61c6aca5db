"""`rolevend platform attest`: asks the operator, through the cluster, to attest a platform again, and waits for the result.

The caller needs only the right to change the DataPlatform, because the operator has the platform's logins. Without a cluster the command
attests the platform itself, with the logins in the file that `rolevend platform install` wrote.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_bytes
from typing import Any

import yaml

from rolevend.app.drivers import drivers
from rolevend.app.manifest import read_manifest
from rolevend.controllers.attestation import attestation_of
from rolevend.errors import InvalidInput, PlatformUnavailable
from rolevend.kinds import DataPlatform, parse, values
from rolevend.kinds.data_platform import Attestation
from rolevend.kinds.shared import ATTEST
from rolevend.kinds.status import body
from rolevend.kube.client import KubeClient, path_of
from rolevend.kube.platform_logins import KeyLogin, Login
from rolevend.model import ClusterId
from rolevend.platform_runtime.credentials import KeyPairLogins, Keys, PasswordLogins
from rolevend.platforms.protocol import Secret
from rolevend.snapshot.conditions.common import attested_server

_POLL_SECONDS = 0.3
_BY_HAND = ClusterId("by-hand")
"""The cluster id of canaries without a cluster. Two such attestations of one platform wait for each other, and for no operator."""


@dataclass(frozen=True, slots=True)
class Attested:
    platform: DataPlatform
    attestation: Attestation


async def attest(name: str, kubeconfig: str, request: str, seconds: float, report: Callable[[str], None]) -> Attested:
    """Attest by the operator. `request` must be unique. `report` receives each reason for a delay once.

    Raises PlatformUnavailable if there is no result within `seconds`.
    """
    cluster = await KubeClient.connect(kubeconfig)
    try:
        await cluster.merge(path_of(DataPlatform), name, {"metadata": {"annotations": {ATTEST: request}}})
        deadline = time.monotonic() + seconds
        last_reason: str | None = None
        while time.monotonic() < deadline:
            platform = parse(DataPlatform, await cluster.get(path_of(DataPlatform), name), unknown="ignore")
            found = platform.status.attestation
            if found is not None and found.request == request:
                return Attested(platform, found)
            last_reason = _report_once(platform, last_reason, report)
            await asyncio.sleep(_POLL_SECONDS)
        raise PlatformUnavailable(
            f"attesting DataPlatform {name}: no answer within {seconds:g} s; {last_reason or 'is an operator running?'}"
        )
    finally:
        await cluster.close()


def _report_once(platform: DataPlatform, last_reason: str | None, report: Callable[[str], None]) -> str | None:
    """Report why the attestation waits, unless it is `last_reason` already. Returns the last reason."""
    waiting = [each for each in platform.status.conditions if each.type in ("Ready", "Attested") and each.status != "True"]
    reason = waiting[0].message if waiting else None
    if reason and reason != last_reason:
        report(reason)
    return reason or last_reason


def attest_directly(manifest: Path, secrets_file: Path, now: Callable[[], datetime]) -> Attested:
    """Attest by this process, without a cluster. `secrets_file` holds the two Secrets that `rolevend platform install` wrote."""
    platform = read_manifest(manifest)
    driver = drivers(_BY_HAND, workers=1)(platform, _keys(platform, secrets_file))
    try:
        facts = driver.facts()
        if facts.unusable is not None:
            raise PlatformUnavailable(facts.unusable)
        results = driver.attest(facts.install_mode, token_bytes, alone=False)
        return Attested(platform, attestation_of(results, facts, None, now()))
    finally:
        driver.close()


def _keys(platform: DataPlatform, secrets_file: Path) -> Keys:
    credentials = platform.spec.credentials
    known = _secrets(secrets_file)
    programmer, vendor = (
        _values(known, ref.name, secrets_file) for ref in (credentials.programmer_secret_ref, credentials.vendor_secret_ref)
    )
    if platform.spec.snowflake is not None:
        return KeyPairLogins(_key_login(programmer), _key_login(vendor))
    if values.postgres_of(platform).tls.ca_secret_ref is not None:
        raise InvalidInput(
            "spec.postgres.tls.caSecretRef", "is read from the cluster alone: have the operator attest, by the platform's name"
        )
    return PasswordLogins(_login(programmer), _login(vendor), None)


def _key_login(found: Mapping[str, Any]) -> KeyLogin:
    return KeyLogin(_text(found, "username"), Secret(_text(found, "private_key")))


def _login(found: Mapping[str, Any]) -> Login:
    return Login(_text(found, "username"), Secret(_text(found, "password")))


def _secrets(secrets_file: Path) -> dict[str, Any]:
    """Return the `stringData` of the Secrets in the file, by name."""
    try:
        documents = [each for each in yaml.safe_load_all(secrets_file.read_text()) if isinstance(each, dict)]
        return {each["metadata"]["name"]: each.get("stringData") for each in documents if each.get("kind") == "Secret"}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InvalidInput(
            str(secrets_file), f"cannot be read as Secrets, as rolevend platform install writes them: {type(error).__name__}"
        ) from error


def _values(known: Mapping[str, Any], name: str, secrets_file: Path) -> Mapping[str, Any]:
    found = known.get(name)
    if not isinstance(found, dict):
        raise InvalidInput(str(secrets_file), f"must hold the Secret {name} with its stringData, as rolevend platform install writes it")
    return found


def _text(found: Mapping[str, Any], key: str) -> str:
    if not isinstance(text := found.get(key), str) or not text:
        raise InvalidInput(f"stringData.{key}", "is missing: rolevend platform install writes it")
    return text


def as_json(attested: Attested) -> dict[str, Any]:
    return body(attested.attestation)


def as_text(attested: Attested) -> str:
    """Return one line for each check, failed ones first."""
    platform, attestation = attested.platform, attested.attestation
    rows = [("FAILED", check.name, check.detail) for check in attestation.failed]
    rows += [("not preventable here", check.name, check.reason) for check in attestation.not_preventable]
    rows += [("passed", check, "") for check in attestation.passed]
    rows += [("not tried", check.name, check.reason) for check in attestation.not_tried]
    width = max((len(check) for _, check, _ in rows), default=0)
    lines = [f"{outcome:<20}  {check:<{width}}  {detail}".rstrip() for outcome, check, detail in rows]
    counts = f"{len(attestation.passed)} passed, {len(attestation.failed)} failed, {len(attestation.not_preventable)} not preventable here"
    if attestation.not_tried:
        counts += f", {len(attestation.not_tried)} not tried"
    where = f"{attested_server(platform, attestation)}, rolevend {attestation.rolevend_version}"
    return "\n".join([*lines, f"{platform.name}: {counts} ({where})"])
