"""Postgres: tables, statements, migrations. Stores never commit; the service opens the transaction."""
