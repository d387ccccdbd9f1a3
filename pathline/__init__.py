"""Pathline: every touchpoint of a customer in one live journey, and an alert before the customer has to call."""
