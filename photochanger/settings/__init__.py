"""Global settings as rows and as snapshots."""
