"""The first tables: accounts, workrooms with their record, Work View."""

from alembic import op

from app.storage.guards import GUARDS
from app.storage.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    connection = op.get_bind()
    metadata.create_all(connection)
    for statement in GUARDS[connection.dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("A record is never taken back. Restore a backup instead.")
