"""The supervision tree as metrics: the same snapshot that people see, in Prometheus' form."""

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from supervisors import Snapshot

_UP = frozenset({"running", "finished"})


class TreeCollector(Collector):
    """Reads the live tree whenever Prometheus asks. A child is named by its path, `lanes/slot-001`."""

    def __init__(self, tree: Callable[[], Snapshot]) -> None:
        self._tree = tree

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """One sample per child, and one per mailbox."""
        up = GaugeMetricFamily(
            "photochanger_child_up", "1 while the part of the service is as it should be.", labels=["child"]
        )
        restarts = CounterMetricFamily(
            "photochanger_child_restarts", "How often it was started again.", labels=["child"]
        )
        depth = GaugeMetricFamily("photochanger_mailbox_depth", "What waits in its mailbox.", labels=["child"])
        for path, child in _walk(self._tree(), ""):
            up.add_metric([path], float(child.state in _UP))
            restarts.add_metric([path], child.restarts)
            for mailbox in child.mailboxes:
                depth.add_metric([path], mailbox.depth)
        yield from (up, restarts, depth)


def _walk(snapshot: Snapshot, prefix: str) -> Iterator[tuple[str, Snapshot]]:
    for child in snapshot.children:
        path = f"{prefix}{child.name}"
        yield path, child
        yield from _walk(child, f"{path}/")
