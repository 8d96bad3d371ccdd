"""An imitation of generateContent for demos, tests and benchmarks. It is stricter than Google on purpose."""

from photochanger.providers.gemini.simulator.service import CallRecord, GeminiSimulator

__all__ = ["CallRecord", "GeminiSimulator"]
