"""Monitoring gateway for hazard sources: instruments in, alarms, stores and supervision platforms out."""

__version__ = "0.1.0"
