"""What a statement is run on: a connection of its own, or one lent by a pool. Stores never commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncpg import Connection
    from asyncpg.pool import PoolConnectionProxy

    Db = Connection[Any] | PoolConnectionProxy[Any]
