"""Creates the driver for the kind of platform that a DataPlatform names."""

from typing import assert_never

from rolevend.errors import InvalidInput
from rolevend.kinds import DataPlatform, values
from rolevend.kinds.data_platform import Snowflake
from rolevend.kube.platform_logins import KeyLogin, Login
from rolevend.model import ClusterId
from rolevend.platform_runtime.credentials import KeyPairLogins, Keys, PasswordLogins
from rolevend.platform_runtime.executor import BUILDERS, DROPPERS, LOOKERS
from rolevend.platform_runtime.records import RECORDERS
from rolevend.platform_runtime.registry import DriverFactory
from rolevend.platforms import postgres
from rolevend.platforms.protocol import Platform


def drivers(cluster_id: ClusterId, workers: int) -> DriverFactory:
    """`workers` is the maximum number of concurrent calls that vend on one platform."""

    def build(platform: DataPlatform, keys: Keys) -> Platform:
        match keys:
            case PasswordLogins():
                return _postgres(platform, keys, cluster_id, workers)
            case KeyPairLogins() if platform.spec.snowflake is not None:
                return _snowflake(platform.spec.snowflake, keys, cluster_id, workers)
            case KeyPairLogins():
                raise InvalidInput("spec.snowflake", "must be set where the logins are key pairs")
            case _:
                assert_never(keys)

    return build


def _vending(workers: int, keys: Keys) -> int:
    """Return the number of the vendor's connections. Vends, drops and records have threads of their own, and none waits for a connection.

    Without a programmer the vendor checks which profiles are built.
    """
    return workers + DROPPERS + LOOKERS + (0 if keys.programmer else BUILDERS)


def _postgres(platform: DataPlatform, keys: PasswordLogins, cluster_id: ClusterId, workers: int) -> Platform:
    def login(known: Login) -> postgres.PostgresLogin:
        return postgres.PostgresLogin(known.username, known.password)

    return postgres.PostgresPlatform(
        values.address(platform, keys.authority.certificates if keys.authority else None),
        cluster_id,
        vendor=login(keys.vendor),
        programmer=login(keys.programmer) if keys.programmer else None,
        limits=postgres.PostgresLimits(
            vendor_connections=_vending(workers, keys) + 2 * RECORDERS,
            programmer_connections=LOOKERS + BUILDERS,
            scram_iterations=values.postgres_of(platform).scram_iterations,
        ),
    )


def _snowflake(spec: Snowflake, keys: KeyPairLogins, cluster_id: ClusterId, workers: int) -> Platform:
    try:
        from rolevend.platforms import snowflake  # its connector is an extra, and large
    except ModuleNotFoundError as error:
        raise InvalidInput("spec.snowflake", "this installation has no driver for it: install rolevend with the extra snowflake") from error

    def login(known: KeyLogin) -> snowflake.SnowflakeLogin:
        return snowflake.SnowflakeLogin(known.username, known.private_key)

    return snowflake.SnowflakePlatform(
        values.account(spec),
        cluster_id,
        vendor=login(keys.vendor),
        programmer=login(keys.programmer) if keys.programmer else None,
        limits=snowflake.SnowflakeLimits(vendor_connections=_vending(workers, keys), programmer_connections=LOOKERS + BUILDERS),
    )
