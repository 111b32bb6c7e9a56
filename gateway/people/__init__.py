"""People who use the gateway: accounts, passwords, sessions, the first administrator, and what is noted of them."""
