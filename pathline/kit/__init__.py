"""Plumbing with no business word: settings, logging, health, lifecycle, Kafka, database."""
