"""The driver for what a DataPlatform says it is."""

from rolevend.atwork.executor import BUILDERS, DROPPERS, LOOKERS
from rolevend.atwork.keys import Keys
from rolevend.atwork.platforms import DriverFactory
from rolevend.model import ClusterId
from rolevend.platforms import postgres
from rolevend.platforms.base import Platform
from rolevend.resources import DataPlatform, values


def drivers(cluster_id: ClusterId, workers: int) -> DriverFactory:
    """`workers` is how many calls that vend one platform gets at once."""

    def build(platform: DataPlatform, keys: Keys) -> Platform:
        return postgres.PostgresPlatform(
            values.address(platform, keys.authority.certificates if keys.authority else None),
            cluster_id,
            vendor=postgres.Login(keys.vendor.username, keys.vendor.password),
            programmer=postgres.Login(keys.programmer.username, keys.programmer.password) if keys.programmer else None,
            # Vends and drops have threads of their own, and neither waits for the other's connections.
            limits=postgres.Limits(
                vendor_connections=workers + DROPPERS + LOOKERS + (0 if keys.programmer else BUILDERS),
                programmer_connections=LOOKERS + BUILDERS,
                scram_iterations=values.postgres_of(platform).scram_iterations,
            ),
        )

    return build
