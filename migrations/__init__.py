"""Alembic migrations, run by `photochanger.db.migrate`."""
