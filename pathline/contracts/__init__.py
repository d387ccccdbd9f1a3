"""Wire formats in and out; domain types never serialise themselves."""
