"""The HTTP interface: routes, live stream and authentication."""
