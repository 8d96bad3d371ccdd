"""Logs and metrics. Health is told by `web/health.py`."""
