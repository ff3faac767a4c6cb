.PHONY: client
client:
	@true
