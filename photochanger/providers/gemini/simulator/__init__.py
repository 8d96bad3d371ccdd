"""An imitation of generateContent and the Files API for demos, tests and benchmarks, stricter than Google itself."""

from photochanger.providers.gemini.simulator.record import CallRecord
from photochanger.providers.gemini.simulator.service import GeminiSimulator

__all__ = ["CallRecord", "GeminiSimulator"]
