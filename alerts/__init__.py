"""Uplinks: each module tells one kind of platform of the alarms."""
