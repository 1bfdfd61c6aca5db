"""Which platforms of a call a role is made on so far: all of them, or where the call allows less, those where nothing failed.

kubectl's door decides the same: see reconcile.together.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rolevend.api.result import SkippedPlatform
from rolevend.errors import RolevendError
from rolevend.kube.client import Body
from rolevend.model import PlatformName
from rolevend.roles.decision import RoleDecision, Vend
from rolevend.roles.status import error_reason, given_up, left_out


class Tries:
    def __init__(self, whole: RoleDecision, *, is_new: bool) -> None:
        """`is_new`: no earlier call can have made anything of it."""
        self.whole = whole
        self.is_new = is_new
        self._failed: dict[PlatformName, tuple[RolevendError, Body]] = {}

    @property
    def left(self) -> tuple[Vend, ...]:
        """Where nothing failed."""
        return tuple(each for each in self.whole.vends if each.platform not in self._failed)

    @property
    def absent(self) -> tuple[SkippedPlatform, ...]:
        return tuple(SkippedPlatform.after(platform, error) for platform, (error, _) in self._failed.items())

    @property
    def statuses(self) -> Mapping[PlatformName, Body]:
        """What the object says of the platforms where something failed."""
        return {platform: status for platform, (_, status) in self._failed.items()}

    @contextmanager
    def of(self, vend: Vend, *, untouched: bool = False) -> Iterator[None]:
        """What fails within leaves the platform out. Raises it where the call does not allow that, or no platform would be left.
        `untouched`: nothing within can have made a role."""
        try:
            yield
        except RolevendError as error:
            if not self.whole.allow_partial or len(self.left) == 1:
                raise
            status = left_out if untouched and self.is_new else given_up
            self._failed[vend.platform] = (error, status(*error_reason(error)))
