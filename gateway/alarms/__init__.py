"""Alarms by the rules of the trade: states, the book that keeps them, and its commands."""
