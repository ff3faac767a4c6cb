"""What is written beside a fleet's file, for all of its services: a catalogue, and one Compose file.

Backstage reads catalog-info.yaml: https://backstage.io/docs/features/software-catalog/descriptor-format
Compose reads compose.yaml, and in .compose/ a copy of each service's own Compose files in which every container has a
name of its own: https://docs.docker.com/reference/compose-file/include/
"""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from fleet import Fleet, Service

CATALOG, COMPOSE, COPIES = "catalog-info.yaml", "compose.yaml", ".compose"
#: What a container says of others by names that are not translated.
UNKNOWN = {"configs", "container_name", "links", "network_mode", "networks", "secrets", "volumes_from"}


class Dumper(yaml.SafeDumper):
    """YAML for people: texts of several lines are written as lines, and nothing refers to another place."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Dumper.add_representer(str, _text)


def write_files(fleet: "Fleet") -> list[str]:
    """Write what has changed, and name it.

    :raises ValueError: if a file there is not this fleet's, or a Compose file of a service is not understood.
    """
    folder, first = fleet.file.parent, head(fleet)
    composed = {service: documents(service) for service in fleet.services if (service.folder / COMPOSE).exists()}
    texts = {CATALOG: dump(first, *entities(fleet))}
    if composed:
        check_names(composed)
        texts[COMPOSE] = dump(first + starting(composed), main_file(fleet, list(composed)))
    for service, found in composed.items():
        texts[f"{COPIES}/{service.name}.yaml"] = dump(first, *renamed(fleet, service, found))
    before = there(fleet)
    changed = {name: text for name, text in texts.items() if before.get(name) != text}
    for name, text in changed.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    gone = sorted(before.keys() - texts.keys())
    for name in gone:
        (folder / name).unlink()
    return [*changed, *gone]


def there(fleet: "Fleet") -> dict[str, str]:
    """What an earlier sync has written, by its name.

    :raises ValueError: if somebody else has written one of these files.
    """
    folder = fleet.file.parent
    names = [CATALOG, COMPOSE, *(f"{COPIES}/{path.name}" for path in (folder / COPIES).glob("*.yaml"))]
    found = {name: (folder / name).read_text(encoding="utf-8") for name in names if (folder / name).exists()}
    for name, text in found.items():
        if not text.startswith(head(fleet)):
            raise ValueError(f"{name} was not written from {fleet.file.name}: move one of them to another folder.")
    return found


def head(fleet: "Fleet") -> str:
    return f"# Written by `fleet.py sync` from {fleet.file.name}, anew each time: change that, and not this.\n"


def dump(first: str, *parts: Any) -> str:
    options = {"sort_keys": False, "allow_unicode": True, "width": 120, "explicit_start": len(parts) > 1}
    return first + yaml.dump_all(parts, Dumper=Dumper, **options)


# --- the catalogue ---


def entities(fleet: "Fleet") -> Iterator[dict[str, Any]]:
    """A component for each service, and an API for each that has a contract."""
    for service in fleet.services:
        answers = service.recorded()
        common = {"lifecycle": "production", "owner": reference(answers["author_name"])}
        spec: dict[str, Any] = {"type": "service", **common}
        if service.contract.exists():
            spec["providesApis"] = [service.name]
        if peers := fleet.peers(service):
            spec["consumesApis"] = [peer.name for peer in peers]
        metadata = {
            "name": service.name,
            "title": answers["project_name"],
            "description": answers["description"],
        }
        yield {"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": metadata, "spec": spec}
        if service.contract.exists():
            # The text itself: the service is another repository, from which Backstage may not read.
            definition = service.contract.read_text(encoding="utf-8")
            spec = {"type": "openapi", **common, "definition": definition}
            yield {"apiVersion": "backstage.io/v1alpha1", "kind": "API", "metadata": metadata, "spec": spec}


def reference(name: str) -> str:
    """The name of a group, as Backstage allows it: `Shop team` is `shop-team`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:63].rstrip("-") or "unknown"


# --- Compose ---


def documents(service: "Service") -> list[dict[str, Any]]:
    """The Compose files of a service, in the order in which they are merged."""
    main = _load(service.folder / COMPOSE)
    found = []
    for entry in main.get("include") or []:
        paths = entry.get("path", []) if isinstance(entry, dict) else entry
        found += [_load(service.folder / path) for path in ([paths] if isinstance(paths, str) else paths)]
    own = {key: value for key, value in main.items() if key not in ("include", "name")}
    found += [own] if own else []
    for document in found:
        unknown = document.keys() - {"services", "volumes"}
        for container in (document.get("services") or {}).values():
            if not container:
                raise ValueError(f"{service.name}: a container of its Compose files is empty")
            unknown |= UNKNOWN & container.keys()
            unknown |= {word for word in ("ipc", "pid") if str(container.get(word)).startswith("service:")}
            if "extends" in container and "file" not in container["extends"]:
                unknown.add("extends without a file")
        if unknown:
            raise ValueError(f"{service.name}: leave out of its Compose files {', '.join(sorted(unknown))}")
    return found


def _load(path: Path) -> dict[str, Any]:
    try:
        return dict[str, Any](yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}".splitlines()[0]) from None


def check_names(composed: dict["Service", list[dict[str, Any]]]) -> None:
    """In the network of a service, its database is `postgresql`, and no other service may be."""
    for service, found in composed.items():
        inner = {"default"}.union(*((document.get("services") or {}) for document in found))
        if taken := sorted(inner & {peer.name for peer in composed}):
            raise ValueError(f"{service.name} has a container {taken[0]}: give the service {taken[0]} another name.")


def starting(composed: dict["Service", Any]) -> str:
    names = " ".join(service.name for service in composed)
    return f"# for name in {names}; do make -C $name .env.production image; done\n# docker compose up --detach --wait\n"


def main_file(fleet: "Fleet", services: list["Service"]) -> dict[str, Any]:
    environment = "${ENVIRONMENT:-production}"
    return {
        "name": f"{reference(fleet.file.parent.name)}-fleet-{environment}",
        "include": [
            {
                "path": f"{COPIES}/{service.name}.yaml",
                "project_directory": service.name,
                "env_file": f"{service.name}/.env.{environment}",
            }
            for service in services
        ],
    }


def renamed(fleet: "Fleet", service: "Service", found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A service's Compose files with names that no other service has; Compose merges them, as it merges the originals.

    In a network of the service alone, each container is called what it was: its settings need not change.
    """
    volumes = {name for document in found for name in document.get("volumes") or {}}
    containers: dict[str, dict[str, Any]] = {}

    def called(name: str) -> str:
        return service.name if name == "web" else f"{service.name}.{name}"

    def volume(mount: Any) -> Any:
        if isinstance(mount, dict):
            return mount | {"source": called(mount["source"])} if mount.get("source") in volumes else mount
        source, colon, target = mount.partition(":")
        return f"{called(source)}{colon}{target}" if colon and source in volumes else mount

    for document in found:
        services = {}
        for name, container in (document.get("services") or {}).items():
            made = dict(container)
            if isinstance(needed := made.get("depends_on"), dict):
                made["depends_on"] = {called(peer): condition for peer, condition in needed.items()}
            elif needed:
                made["depends_on"] = [called(peer) for peer in needed]
            if made.get("volumes"):
                made["volumes"] = [volume(mount) for mount in made["volumes"]]
            if made.get("ports"):
                ours = f"${{{service.package.upper()}_PORT:-{service.port}}}"
                made["ports"] = [
                    re.sub(r"\$\{PORT:-\d+\}", ours, port) if isinstance(port, str) else port for port in made["ports"]
                ]
            services[called(name)] = made
            containers.setdefault(name, {}).update(container)
        yield {
            "services": services,
            "volumes": {called(name): told for name, told in (document.get("volumes") or {}).items()},
        }
    urls = {f"{peer.package.upper()}_URL": f"http://{peer.name}:8000" for peer in fleet.peers(service)}
    added = {}
    for name, container in containers.items():
        networks: dict[str, Any] = {service.name: {"aliases": [name]}}
        added[called(name)] = {"networks": networks}
        if "extends" in container:  # A process of the service itself.
            networks["default"] = {}
            if urls:
                added[called(name)]["environment"] = urls
    yield {"services": added, "networks": {service.name: {}}}
