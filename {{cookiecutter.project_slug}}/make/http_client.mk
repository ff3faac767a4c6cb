.PHONY: client mock

# As they were written: make would replace what follows a dollar.
ifdef CONTRACT
override CONTRACT := $(value CONTRACT)
export CONTRACT
endif
export NAME

# The template brings the program, as it was when it made this service.
client: $(VENV)/ready ## Write, or renew, the client of another service: CONTRACT=../orders/openapi.json NAME=orders
	@test -f .cruft.json || { echo 'There is no .cruft.json: README.md, "Update", says how to get one.' >&2; exit 1; }
	@test -n "$$CONTRACT" || { echo 'Name a file, a URL, or repository#commit:path: make client CONTRACT=../orders/openapi.json' >&2; exit 1; }
	@unset $$(git rev-parse --local-env-vars); folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; trap 'exit 1' INT TERM; \
	recorded() { $(PYTHON) -c "import json; print(json.load(open('.cruft.json'))['$$1'])"; }; \
	git clone --quiet "$$(recorded template)" "$$folder" && git -C "$$folder" checkout --quiet "$$(recorded commit)" && \
	$(BIN)/python -B "$$folder/client.py" -- "$$CONTRACT" $$NAME

# https://docs.stoplight.io/docs/prism
mock: ## Answer as the contract in the file CONTRACT says, on PORT: a stand-in for people, by npx
	@test -f "$$CONTRACT" || { echo 'Name the file of a contract: make mock CONTRACT=../orders/openapi.json' >&2; exit 1; }
	npx --yes @stoplight/prism-cli@5 mock --port $(PORT) "$$CONTRACT"
