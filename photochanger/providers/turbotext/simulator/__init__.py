"""An imitation of Turbotext's photo methods for demos, tests and benchmarks. It is stricter than it may be itself."""

from photochanger.providers.turbotext.simulator.backend import CallRecord
from photochanger.providers.turbotext.simulator.service import TurbotextSimulator

__all__ = ["CallRecord", "TurbotextSimulator"]
