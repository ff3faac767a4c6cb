"""What accounts need and no owner has to read. The rest is code of the service: ``blueprints/accounts/``."""
