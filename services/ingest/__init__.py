"""The collector: takes touchpoints over HTTP and acks only what Kafka holds."""
