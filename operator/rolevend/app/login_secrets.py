"""The two Secrets with the operator's logins on a platform: `platform install` writes them, `platform attest` reads them from the file."""

from collections.abc import Mapping

import yaml

from rolevend.kinds import DataPlatform


def login_secrets(platform: DataPlatform, namespace: str, *, programmer: Mapping[str, str], vendor: Mapping[str, str]) -> str:
    """Return the Secrets that the manifest refers to, as YAML for `kubectl apply`."""
    credentials = platform.spec.credentials
    logins = {credentials.programmer_secret_ref.name: programmer, credentials.vendor_secret_ref.name: vendor}
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
