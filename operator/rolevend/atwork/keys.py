"""What the Secrets say that a DataPlatform refers to, each mistake with the field that names its Secret."""

from dataclasses import dataclass
from datetime import datetime

from rolevend.kube.client import Cluster
from rolevend.kube.secrets import Authority, Login, authority, login
from rolevend.resources import DataPlatform


@dataclass(frozen=True, slots=True)
class Keys:
    programmer: Login
    vendor: Login
    authority: Authority | None

    @property
    def versions(self) -> tuple[str, ...]:
        return self.programmer.version, self.vendor.version, self.authority.version if self.authority else ""


async def keys_of(platform: DataPlatform, cluster: Cluster, namespace: str, now: datetime) -> Keys:
    credentials = platform.spec.credentials
    programmer = await login(cluster, namespace, credentials.programmer_secret_ref.name, "spec.credentials.programmerSecretRef")
    vendor = await login(cluster, namespace, credentials.vendor_secret_ref.name, "spec.credentials.vendorSecretRef")
    ref = platform.spec.postgres.tls.ca_secret_ref if platform.spec.postgres else None
    if ref is None:
        return Keys(programmer, vendor, None)
    return Keys(programmer, vendor, await authority(cluster, namespace, ref.name, ref.key, "spec.postgres.tls.caSecretRef", now))
