"""The four services: thin programs that wire the core to HTTP, Kafka, Postgres and people."""
