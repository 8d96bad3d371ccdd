"""Looks made on this machine, without any provider."""
