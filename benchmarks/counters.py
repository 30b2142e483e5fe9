"""Counters of a server, read from its Prometheus metrics."""

import socket
import urllib.request
from collections import defaultdict

from prometheus_client.parser import text_string_to_metric_families

Counts = dict[tuple[str, str], float]
"""By name of the sample, and its code or reason."""


def free_port() -> int:
    """Returns a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def read(port: int) -> Counts:
    """Returns every sample, summed over graphs and methods."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    counts: Counts = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            name = sample.name, labels.get("code", labels.get("reason", ""))
            counts[name] = counts.get(name, 0.0) + sample.value
    return counts


def since(port: int, before: Counts) -> Counts:
    """Returns the increase of each counter."""
    return defaultdict(float, {name: value - before.get(name, 0.0) for name, value in read(port).items()})
