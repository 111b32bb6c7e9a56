"""The operator's page: static files that `gateway.api` serves."""
