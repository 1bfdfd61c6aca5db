"""What the Secrets say that a DataPlatform refers to, each mistake with the field that names its Secret."""

from dataclasses import dataclass
from datetime import datetime

from rolevend.kube.client import Cluster
from rolevend.kube.secrets import Authority, Login, authority, login
from rolevend.resources import DataPlatform


@dataclass(frozen=True, slots=True)
class Keys:
    programmer: Login | None
    """None in a process that only vends: it never reads that Secret."""
    vendor: Login
    authority: Authority | None

    @property
    def versions(self) -> tuple[str, ...]:
        return tuple(each.version if each else "" for each in (self.programmer, self.vendor, self.authority))


async def keys_of(platform: DataPlatform, cluster: Cluster, namespace: str, now: datetime, *, programs: bool) -> Keys:
    credentials, programmer = platform.spec.credentials, None
    if programs:
        programmer = await login(cluster, namespace, credentials.programmer_secret_ref.name, "spec.credentials.programmerSecretRef")
    vendor = await login(cluster, namespace, credentials.vendor_secret_ref.name, "spec.credentials.vendorSecretRef")
    ref = platform.spec.postgres.tls.ca_secret_ref if platform.spec.postgres else None
    if ref is None:
        return Keys(programmer, vendor, None)
    return Keys(programmer, vendor, await authority(cluster, namespace, ref.name, ref.key, "spec.postgres.tls.caSecretRef", now))
