"""Alembic's way in: the connection schema.py hands over. Nothing is configured elsewhere."""

from alembic import context

from hostsim.backoffice import models, tables  # noqa: F401 - their tables belong to the metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=models.Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
