"""What happens while roles are issued: policies change, and records of roles appear in Kubernetes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.cluster import Body, Watch
from bench.load import Load, Sent
from bench.rounds import PreparedPeer
from tests.support.site import Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

RECORD = "rolevend.dev/record"
"""The label of a VendedRole that is written after the answer, from the record in the database. Its name is the role's id at the API."""
PER_SECOND = 10
EVERY = 1.0
_FIRST = 2.0
_WITHIN = 30.0


class PolicyChanges:
    """An AccessPolicy on the same table, for people of another tenant, that is patched every second. No live role is affected."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._policy = Tenant(site).policy()
        site.told(self._policy, "Ready", "True")
        self.changes = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Change the policy until the end of the block, which raises an error of a change."""
        ended = threading.Event()
        failures: list[BaseException] = []

        def change() -> None:
            try:
                while not ended.is_set():
                    self.changes += 1
                    self._site.patch(self._policy, {"rowFilter": f"country IN (user_attr('countries')) OR person_id = {self.changes}"})
                    ended.wait(EVERY)
            except BaseException as error:  # raised in the caller
                failures.append(error)

        thread = threading.Thread(target=change, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        if failures:
            raise failures[0]

    def verify(self) -> None:
        """Raises AssertionError if the operator does not use the policy as it is now."""
        self._site.told(self._policy, "Ready", "True")


class Projections:
    """Roles that are issued at a constant rate and live on, and how long after the answer each appears in Kubernetes."""

    def __init__(self, site: Site, load: Load, peer: PreparedPeer) -> None:
        self._load, self._peer = load, peer
        self._seen: dict[str, float] = {}
        self._watch = Watch(site.control_plane, self._note, label=RECORD)
        self.late: list[float] = []
        """Seconds from the answer to the watch event."""

    def close(self) -> None:
        self._watch.close()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Issue roles until the end of the block, wait for their projections, and revoke them. Raises AssertionError if one is missing."""
        with self._load.stream(self._peer.issuing(60 * PER_SECOND), PER_SECOND) as streams:
            time.sleep(_FIRST)
            yield
        (stream,) = streams
        eventually(lambda: self._all_are_there(stream), within=_WITHIN)
        self.late += [self._seen[name] - answered for name, answered in zip(stream.fields, stream.answered, strict=True)]
        self._load.send(self._peer.revoking(stream.fields), 4)

    def _all_are_there(self, stream: Sent) -> bool:
        missing = set(stream.fields) - self._seen.keys()
        assert not missing, f"{len(missing)} of {len(stream.fields)} roles have no projection"
        return True

    def _note(self, type_: str, body: Body) -> None:
        if type_ != "DELETED":
            self._seen.setdefault(str(body["metadata"]["name"]), time.time())
