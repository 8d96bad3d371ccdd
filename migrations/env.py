"""What Alembic runs for every command. The connection comes from `photochanger.db.migrate`, in a transaction."""

from alembic import context

from photochanger.db.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table_schema=context.config.attributes["schema"],
    compare_type=True,
    compare_server_default=True,
)
context.run_migrations()
