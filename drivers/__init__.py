"""Drivers: each module reads one kind of bus."""
