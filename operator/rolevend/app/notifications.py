"""Create the parts that notify receivers of AccessRequests."""

from rolevend.access_objects.store import AccessRequestStore
from rolevend.app.bootstrap import now
from rolevend.controllers.notification_controller import NotificationController
from rolevend.kube.client import KubeClient
from rolevend.notifications.deliverer import NotificationDeliverer
from rolevend.notifications.receivers import Receivers, read_receivers
from rolevend.notifications.recorder import NotificationRecorder
from rolevend.notifications.schedule import RetrySchedule
from rolevend.notifications.sender import NotificationSender
from rolevend.roles.protocols import Snapshots
from rolevend.settings import Settings
from rolevend.telemetry.metrics import Metrics


def notification_controller(
    settings: Settings, cluster: KubeClient, store: AccessRequestStore, snapshots: Snapshots, metrics: Metrics, source: str
) -> NotificationController:
    """Read the configuration, and create the controller. `source` names the cluster. Raises InvalidInput, which names the file."""
    receivers = Receivers({}) if settings.notifications_folder is None else read_receivers(settings.notifications_folder)
    recorder = NotificationRecorder(store, cluster, metrics, now, receivers.by_name)
    schedule = RetrySchedule(settings.notification_retry_seconds, settings.notification_attempts)
    deliverer = NotificationDeliverer(store, receivers, NotificationSender(source, now), recorder, schedule)
    return NotificationController(store, snapshots, receivers, deliverer, now)
