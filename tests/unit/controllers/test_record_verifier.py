"""Records without a valid seal are counted, in bounded memory."""

from dataclasses import replace

from rolevend.controllers import record_verifier
from rolevend.controllers.record_verifier import RecordVerifier
from rolevend.model import ObjectName, PlatformName, Uid
from rolevend.plan import LeaseRecord
from rolevend.platforms.protocol import RecordedLease
from rolevend.roles.seal import LeaseSeal
from rolevend.telemetry.metrics import Metrics
from tests.support.leases import lease_of
from tests.support.tokens import NOW

WAREHOUSE = PlatformName("warehouse")
SEAL = LeaseSeal(b"k" * 32)


def recorded(name: str, *, sealed: bool = False, gone: bool = False) -> RecordedLease:
    record = LeaseRecord(ObjectName("agents", name), "{}", "call", "forged")
    lease = lease_of(name, Uid("the uid of a real role"), record)
    if sealed:
        lease = replace(lease, record=replace(record, seal=SEAL.of(lease, record, WAREHOUSE)))
    return RecordedLease(lease, NOW, True, "1", dropped_at=NOW if gone else None)


def counted(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("rolevend_unsealed_records_total", {"platform": WAREHOUSE}) or 0.0


def test_a_live_role_without_a_valid_seal_is_counted_once_and_one_with_a_seal_never():
    metrics = Metrics()
    verifier = RecordVerifier(SEAL, metrics)

    for _ in range(3):
        assert not verifier.is_valid(WAREHOUSE, recorded("one"))
        assert not verifier.is_valid(WAREHOUSE, recorded("another"))
        assert not verifier.is_valid(WAREHOUSE, recorded("gone", gone=True))
        assert verifier.is_valid(WAREHOUSE, recorded("real", sealed=True))

    assert counted(metrics) == 2


def test_a_role_that_is_gone_is_forgotten():
    metrics = Metrics()
    verifier = RecordVerifier(SEAL, metrics)
    for gone in (False, True, False):
        verifier.is_valid(WAREHOUSE, recorded("one", gone=gone))

    assert counted(metrics) == 2


def test_beyond_the_maximum_the_oldest_is_forgotten_and_newer_ones_are_not():
    metrics = Metrics()
    verifier = RecordVerifier(SEAL, metrics)
    names = [f"role-{number}" for number in range(record_verifier.MOST_COUNTED + 1)]
    for name in names:
        verifier.is_valid(WAREHOUSE, recorded(name))
    before = counted(metrics)

    verifier.is_valid(WAREHOUSE, recorded(names[-1]))
    assert counted(metrics) == before == len(names)
    verifier.is_valid(WAREHOUSE, recorded(names[0]))
    assert counted(metrics) == before + 1
