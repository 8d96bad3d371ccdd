"""Quart-Trio on a hardened Hypercorn."""
