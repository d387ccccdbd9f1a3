"""What the tables have in common."""

from __future__ import annotations

from sqlalchemy import DateTime, MetaData

metadata = MetaData()

TIME = DateTime(timezone=True)
