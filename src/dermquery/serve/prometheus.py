"""Counters for Prometheus. No label holds text from a user."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counters of one service, in a registry of their own.

    Attributes:
        requests: by method, route template and status.
        latency: of a request in seconds, by method and route template.
        encodings: queries that went through the network.
        encoding_seconds: time of the network, without the wait.
        searches: answered rankings.
        refused: requests refused by a full waiting line, by line.
        written: cases by outcome: added, updated, deleted, bad.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("dermquery_requests", "Requests.", ("method", "route", "status"), registry=registry)
        self.latency = Histogram(
            "dermquery_request_seconds", "Time to answer.", ("method", "route"), buckets=_SECONDS, registry=registry
        )
        self.encodings = Counter("dermquery_encodings", "Queries encoded.", registry=registry)
        self.encoding_seconds = Histogram(
            "dermquery_encoding_seconds", "Time of the network.", buckets=_SECONDS, registry=registry
        )
        self.searches = Counter("dermquery_searches", "Rankings answered.", registry=registry)
        self.refused = Counter("dermquery_refused", "Requests sent away by a full line.", ("line",), registry=registry)
        self.written = Counter("dermquery_cases_written", "Cases by outcome.", ("outcome",), registry=registry)
        self._waiting = Gauge("dermquery_inside", "At work or waiting.", ("line",), registry=registry)
        self._cases = Gauge("dermquery_base_cases", "Cases in the base.", registry=registry)

    def watch(self, line: str, length: Callable[[], float]) -> None:
        """Report the length of a waiting line."""
        self._waiting.labels(line).set_function(length)

    def page(self, cases: int | None) -> bytes:
        """The page that Prometheus reads; the base's size is NaN while it cannot be read."""
        self._cases.set(float("nan") if cases is None else cases)
        return generate_latest(self.registry)
