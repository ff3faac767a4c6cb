.PHONY: image up down sbom

# Or another program with the same commands
DOCKER ?= docker
ENVIRONMENT ?= production

# CI builds what is committed.
image: $(VENV)/ready ## Build the container image, with DOCKER
{% for name, option in cookiecutter._options.items() if name in cookiecutter.__chosen.split() %}
{% for command in option.get('setup', []) %}
	@$(if $(CI),,$(FLASK) {{ command }})
{% endfor %}
{% endfor %}
	$(DOCKER) build --tag {{ cookiecutter.project_slug }}:latest \
		--build-arg VERSION="$$(git describe --tags --always --dirty)" \
		--build-arg REVISION="$$(git rev-parse HEAD)" \
		--build-arg CREATED="$$(git log -1 --format=%cI)" $(ARGS) .

up: .env.$(ENVIRONMENT) image ## Start containers: the service, and what it needs; ENVIRONMENT=staging PORT=8001 another one
	ENVIRONMENT=$(ENVIRONMENT) $(DOCKER) compose up --detach --wait

down: ## Stop these containers; their volumes stay
	ENVIRONMENT=$(ENVIRONMENT) $(DOCKER) compose down

# Credentials are made once: a volume keeps those that it was made with.
.env.%:
	@volumes=$$($(DOCKER) volume ls --quiet --filter label=com.docker.compose.project={{ cookiecutter.project_slug }}-$*) && \
	if test -n "$$volumes"; then \
		echo "$@ is missing, with the passwords of these volumes: put it back, or remove them and their data." >&2; \
		echo "$$volumes" >&2; exit 1; fi
	@umask 077 && $(PYTHON) -c 'import secrets, sys; [print(f"{name}={secrets.token_hex(32)}") for name in sys.argv[1:]]' \
{% for name, option in cookiecutter._options.items() if name in cookiecutter.__chosen.split() %}
{% for setting in option.get('settings', []) if setting.required is true %}
		{{ setting.name }} \
{% endfor %}
{% for password in option.get('passwords', []) %}
		{{ password }} \
{% endfor %}
{% endfor %}
		> $@

sbom: requirements.txt ## Write sbom.json, a CycloneDX bill of what is installed to run
	PYTHONWARNINGS=ignore $(UV) tool run --quiet --from 'cyclonedx-bom>=7.2,<8' cyclonedx-py requirements requirements.txt \
		--pyproject pyproject.toml --mc-type application --output-reproducible --output-file sbom.json
