"""Kafka and PostgreSQL for one machine, run from packages: what `pathline up` and the tests stand on."""
