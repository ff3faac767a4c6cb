.PHONY: openapi contract stubs fuzz

CHANGES = $(BIN)/python tools/api/changes.py
# What compares two releases; DIFF=oasdiff for those who have it: https://github.com/oasdiff/oasdiff
COMPARE = $(if $(DIFF),$(DIFF) breaking --fail-on WARN,$(CHANGES))

openapi: $(VENV)/ready ## Write openapi.json, the contract of the API, as the views say it
	@$(FLASK) openapi write

contract: $(VENV)/ready ## Name what breaks clients of the last git tag, or the services in CONSUMERS="../front", and fail if anything does
	@$(FLASK) openapi check
	@failed=; tag=$$(git describe --tags --abbrev=0 2>/dev/null) || echo 'There is no tag yet: nothing is promised.'; \
	for file in $$(test -z "$$tag" || git ls-tree --name-only "$$tag" | grep '^openapi.*\.json$$' || \
		echo "$$tag has no openapi.json: nothing is promised." >&2); do \
		echo "$$file, compared with $$tag:"; git show "$$tag:./$$file" | $(COMPARE) - "$$file" || failed=1; done; \
	for consumer in $(CONSUMERS); do echo "openapi.json, as $$consumer knows it:"; \
		$(CHANGES) "$$consumer" openapi.json || failed=1; done; test -z "$$failed"

fuzz: | $(UV) ## Look for mistakes of the service that runs on PORT, by schemathesis; ARGS="--max-examples=9" are its own
	$(UV) tool run --quiet --from 'schemathesis>=4.32,<5' schemathesis run http://127.0.0.1:$(PORT)/api/v1/openapi.json $(ARGS)

# The template brings the program.
stubs: $(VENV)/ready ## Write typed views and schemas of the contract in the file CONTRACT as a blueprint, to be filled in
	@test -f .cruft.json || { echo 'There is no .cruft.json: README.md, "Update", says how to get one.' >&2; exit 1; }
	@test -f "$(CONTRACT)" || { echo 'Name the file of a contract: make stubs CONTRACT=orders.json' >&2; exit 1; }
	@unset $$(git rev-parse --local-env-vars); folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; trap 'exit 1' INT TERM; \
	git clone --quiet "$$($(PYTHON) -c 'import json; print(json.load(open(".cruft.json"))["template"])')" "$$folder" && \
	$(BIN)/python "$$folder/stubs.py" "$(CONTRACT)" $(FOLDER)
