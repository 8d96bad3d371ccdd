"""Slots as rows and as snapshots."""
