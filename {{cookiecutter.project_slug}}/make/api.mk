.PHONY: openapi contract

openapi: $(VENV)/ready ## Write openapi.json, the contract of the API, as the views say it
	@$(FLASK) openapi write

contract: $(VENV)/ready ## Name what breaks clients of the last git tag's openapi.json, and fail if anything does
	@tag=$$(git describe --tags --abbrev=0 2>/dev/null) || { echo 'There is no tag yet: nothing is promised.'; exit; }; \
	git show "$$tag:./openapi.json" >/dev/null 2>&1 || { echo "$$tag has no openapi.json: nothing is promised."; exit; }; \
	echo "Compared with $$tag:"; git show "$$tag:./openapi.json" | $(FLASK) openapi diff -
