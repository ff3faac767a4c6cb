"""Remove what belongs to options that were not chosen: docs/adding-an-option.md tells the rule."""

import json
import os

answers = json.loads({{cookiecutter | jsonify | jsonify}})
chosen = answers["__chosen"].split()
unchosen = {name: option for name, option in answers["_options"].items() if name not in chosen}
name = answers["package_name"]  # what a star stands for
paths = [path.replace("*", name) for option in unchosen.values() for path in option.get("paths", [])]
listed = tuple(os.path.join(".", path) for path in paths)
package = os.path.join(".", "src", name)

for folder, _, files in os.walk(".", topdown=False):
    for file in files:
        path = os.path.join(folder, file)
        parts = path.removeprefix(package + os.sep).split(os.sep)
        owners = {part.lstrip(".").split(".")[0].removeprefix("test_").replace("-", "_") for part in parts}
        if owners & unchosen.keys() or any(path == own or path.startswith(own + os.sep) for own in listed):
            os.remove(path)
    if not os.listdir(folder):
        os.rmdir(folder)

if "_output_dir" in answers:  # cookiecutter, and not an update by cruft
    print(f"Made {answers['project_slug']}. Next, in its folder:")
    print("git init -b main && git add . && git commit -m 'As generated' && make run")
