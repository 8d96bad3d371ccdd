"""The tables, as SQLAlchemy Core metadata. Migrations create them; queries are written in SQL next to their use.

Times are timestamptz in UTC. Money is whole microusd. The schema name is the connection's search_path
(`DATABASE_SCHEMA`), so no table names it.
"""

from photochanger.db.tables import administration, photos, slots, statistics
from photochanger.db.tables.base import metadata

__all__ = ["administration", "metadata", "photos", "slots", "statistics"]
