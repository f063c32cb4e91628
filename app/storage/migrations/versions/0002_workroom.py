"""Everything agreed and delivered: matters, terms, jobs, files, search, mail."""

from alembic import context, op
from alembic.autogenerate import produce_migrations
from alembic.operations.ops import AddColumnOp, MigrateOperation, OpContainer

from app.storage.search_index import SEARCH
from app.storage.tables import metadata

revision = "0002"
down_revision = "0001"


def _apply(found: MigrateOperation) -> None:
    if isinstance(found, OpContainer):
        for each in found.ops:
            _apply(each)
    else:
        if isinstance(found, AddColumnOp):
            found.column.index = None  # an operation of its own makes it
        op.invoke(found)


def upgrade() -> None:
    found = produce_migrations(context.get_context(), metadata).upgrade_ops
    assert found is not None
    _apply(found)
    for statement in SEARCH[op.get_bind().dialect.name]:
        op.execute(statement)
