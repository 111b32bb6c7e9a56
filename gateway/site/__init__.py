"""The site file: its schema, loading with exact error positions, and instrument profiles."""
