"""The console: the support team's page and API, live."""
