"""Read a DataPlatform from a file, and write the Secrets with the logins, and the commands by which the API may read one."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from rolevend.errors import InvalidInput
from rolevend.kinds import DataPlatform, parse

_API: Final = "rolevend-api"
"""The API's ServiceAccount, if the chart's release has its usual name."""


def read_manifest(manifest: Path) -> DataPlatform:
    """Return the DataPlatform in the file. Raises InvalidInput unless there is exactly one."""
    try:
        documents = [each for each in yaml.safe_load_all(manifest.read_text()) if isinstance(each, dict)]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(str(manifest), f"cannot be read as YAML: {' '.join(str(error).split())}") from error
    platforms = [each for each in documents if each.get("kind") == "DataPlatform"]
    if len(platforms) != 1:
        raise InvalidInput(str(manifest), f"must hold one object of kind DataPlatform, and holds {len(platforms)}")
    return parse(DataPlatform, platforms[0])


def login_secrets(
    platform: DataPlatform,
    namespace: str,
    *,
    programmer: Mapping[str, str],
    vendor: Mapping[str, str],
    observer: Mapping[str, str] | None = None,
) -> str:
    """Return the Secrets that the manifest refers to, as YAML for `kubectl apply`."""
    credentials = platform.spec.credentials
    logins = {credentials.programmer_secret_ref.name: programmer, credentials.vendor_secret_ref.name: vendor}
    if observer is not None and credentials.observer_secret_ref is not None:
        logins[credentials.observer_secret_ref.name] = observer
    secrets = (
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "type": "Opaque",
            "stringData": dict(login),
        }
        for name, login in logins.items()
    )
    return yaml.safe_dump_all(secrets, sort_keys=False)


def api_secrets(platform: DataPlatform) -> tuple[str, ...]:
    """Return the Secrets that the API needs: the vendor's login and the authority of the database, and never the programmer's login."""
    vendor = platform.spec.credentials.vendor_secret_ref.name
    authority = None if platform.spec.postgres is None else platform.spec.postgres.tls.ca_secret_ref
    return (vendor,) if authority is None else (vendor, authority.name)


def console_secrets(platform: DataPlatform) -> tuple[str, ...]:
    """Return the Secrets that the console needs to show running statements; empty if it has no login."""
    observer = platform.spec.credentials.observer_secret_ref
    return () if observer is None else (observer.name, *api_secrets(platform)[1:])


def api_commands(platform: DataPlatform, namespace: str) -> tuple[str, str]:
    """Return the commands for a shell by which the API may read them. Another person may have written the names in the manifest."""
    name, place = f"{_API}-{platform.name}", f"--namespace={namespace}"
    named = [f"--resource-name={each}" for each in api_secrets(platform)]
    return (
        shlex.join(["kubectl", "create", "role", name, place, "--verb=get", "--resource=secrets", *named]),
        shlex.join(["kubectl", "create", "rolebinding", name, place, f"--role={name}", f"--serviceaccount={namespace}:{_API}"]),
    )
