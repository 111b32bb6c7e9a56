"""Simulated plants, instruments, buses and platforms."""
