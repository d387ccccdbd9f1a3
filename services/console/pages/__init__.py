"""The console's pages, server-rendered."""
