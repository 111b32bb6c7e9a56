"""The way of a reading from a driver to the alarm book."""
