"""Forward-only migrations: one file a version."""
