"""Detectors: rules that find pain points. They are data; this package reads and runs them, purely."""
