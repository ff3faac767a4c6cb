"""${message}

Revision ${up_revision}${", after " if down_revision else ""}${down_revision | comma,n}; made ${create_date}.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text  # In types of other databases, Alembic writes it like this.
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
