"""The ConfigMap that suspends the whole cluster."""

from rolevend.snapshot.suspension import SUSPENSION
from testbed.installation import NAMESPACE
from tests.support.site import Site


class Switch:
    """Turned off again by `off`, so that other tests of the installation go on."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def set(self, **data: str) -> None:
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{SUSPENSION}"
        answer = self._site.cluster.call("PATCH", path, {"data": data}, content_type="application/merge-patch+json")
        assert answer.ok, answer.message

    def off(self) -> None:
        self.set(suspend="false")
