"""The logins in the Secrets that a DataPlatform refers to. An error names the field that refers to the Secret."""

from dataclasses import dataclass
from datetime import datetime

from rolevend.kinds import DataPlatform
from rolevend.kube.certificate_authorities import Authority, authority
from rolevend.kube.client import KubeClient
from rolevend.kube.platform_logins import KeyLogin, Login, key_login, login


@dataclass(frozen=True, slots=True)
class PasswordLogins:
    """The logins of a PostgreSQL database."""

    programmer: Login | None
    """None in a process that only vends, which never reads that Secret."""
    vendor: Login
    authority: Authority | None

    @property
    def versions(self) -> tuple[str | None, ...]:
        return tuple(each.version if each else None for each in (self.programmer, self.vendor, self.authority))


@dataclass(frozen=True, slots=True)
class KeyPairLogins:
    """The logins of a Snowflake account."""

    programmer: KeyLogin | None
    """None in a process that only vends, which never reads that Secret."""
    vendor: KeyLogin

    @property
    def versions(self) -> tuple[str | None, ...]:
        return tuple(each.version if each else None for each in (self.programmer, self.vendor))


Keys = PasswordLogins | KeyPairLogins

_PROGRAMMER = "spec.credentials.programmerSecretRef"
_VENDOR = "spec.credentials.vendorSecretRef"


async def logins_of(platform: DataPlatform, cluster: KubeClient, namespace: str, now: datetime, *, programs: bool) -> Keys:
    if platform.spec.snowflake is not None:
        return await _pair_keys(platform, cluster, namespace, programs=programs)
    credentials, programmer = platform.spec.credentials, None
    if programs:
        programmer = await login(cluster, namespace, credentials.programmer_secret_ref.name, _PROGRAMMER)
    vendor = await login(cluster, namespace, credentials.vendor_secret_ref.name, _VENDOR)
    ref = platform.spec.postgres.tls.ca_secret_ref if platform.spec.postgres else None
    if ref is None:
        return PasswordLogins(programmer, vendor, None)
    return PasswordLogins(programmer, vendor, await authority(cluster, namespace, ref.name, ref.key, "spec.postgres.tls.caSecretRef", now))


async def _pair_keys(platform: DataPlatform, cluster: KubeClient, namespace: str, *, programs: bool) -> KeyPairLogins:
    credentials, programmer = platform.spec.credentials, None
    if programs:
        programmer = await key_login(cluster, namespace, credentials.programmer_secret_ref.name, _PROGRAMMER)
    return KeyPairLogins(programmer, await key_login(cluster, namespace, credentials.vendor_secret_ref.name, _VENDOR))
