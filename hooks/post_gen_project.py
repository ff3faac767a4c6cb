"""Remove what belongs to options that were not chosen, by the rule of docs/adding-an-option.md, and record the template."""

import json
import os
import re
import subprocess
from contextlib import suppress

answers = json.loads({{cookiecutter | jsonify | jsonify}})
chosen = answers["__chosen"].split()
unchosen = {name: option for name, option in answers["_options"].items() if name not in chosen}
name = answers["package_name"]  # what a star stands for
paths = [path.replace("*", name) for option in unchosen.values() for path in option.get("paths", [])]
listed = tuple(os.path.join(".", path) for path in paths)
package = os.path.join(".", "src", name)
# Options whose functions mark the texts of all others: docs/adding-an-option.md, "Texts".
marking = [option for option, entry in unchosen.items() if entry.get("texts")]
# Arguments of operations, which only these options read: docs/adding-an-option.md.
arguments = [name for entry in unchosen.values() for name in entry.get("arguments", [])]
# A text in a mark, and the values that it names: _("Hello, %(name)s.", name=user.name)
VALUE = r"(?:[^(),]|\([^()]*\))+"
MARK = r'(?<![\w.])_l?\(\s*"([^"\\{}]*)"((?:,\s*\w+=' + VALUE + r")*),?\s*\)"


def plain(text, option):
    """Return what a file says without the marks that only this option understands."""
    own = r'(?:from \.[\w.]*\bOPTION import .*|[{]% include "OPTION/.*)\n'.replace("OPTION", option)
    text = re.sub(rf"(?<=\n)\n(?:{own})+(?=\n)|^{own}", "", text, flags=re.MULTILINE)

    def filled(mark, before, after):
        values = dict(re.findall(rf"(\w+)=({VALUE})", mark[2]))
        return re.sub(r"%\((\w+)\)s", lambda name: before + values[name[1]].strip() + after, mark[1])

    text = re.sub("[{]{ " + MARK + " }}", lambda mark: filled(mark, 2 * "{" + " ", " " + 2 * "}"), text)
    text = re.sub(MARK, lambda mark: "f" * bool(mark[2]) + '"' + filled(mark, "{", "}") + '"', text)
    # A text that is known only while the service runs
    return re.sub(r"(?<![\w.])_l?\(([\w.]+(?: or [\w.]+)*)\)", r"\1", text)


def without(text, argument):
    """Return a blueprint whose operations do not have this argument, a list that stands last."""
    return re.sub(rf"(?:, |(?<=@operation\()){argument}=\[[^\]]*\](?=\))", "", text)


for folder, _, files in os.walk(".", topdown=False):
    for file in files:
        path = os.path.join(folder, file)
        parts = path.removeprefix(package + os.sep).split(os.sep)
        owners = {part.lstrip(".").split(".")[0].removeprefix("test_").replace("-", "_") for part in parts}
        if owners & unchosen.keys() or any(path == own or path.startswith(own + os.sep) for own in listed):
            os.remove(path)
            continue
        if not file.endswith((".html", ".py", ".txt")):
            continue
        with open(path, encoding="utf-8", newline="") as source:
            said = text = source.read()
        for option in marking:
            said = plain(said, option)
        for argument in arguments if parts[0] == "blueprints" else []:
            said = without(said, argument)
        if said != text:
            with open(path, "w", encoding="utf-8", newline="") as target:
                target.write(said)
    if not os.listdir(folder):
        os.rmdir(folder)


def find_template():
    """Return the template's folder, the address to clone it from, and what git or an archive says about the commit."""
    folder, address, said = answers["_repo_dir"], "", ""
    if not os.path.isabs(folder):
        # Relative to where cookiecutter was started. While a hook runs, cookiecutter is in the template itself.
        here = f"/proc/{os.getppid()}/cwd"
        folder = os.path.realpath(here if os.path.exists(here) else os.path.join(os.environ.get("PWD", ""), folder))
    with suppress(OSError):  # Without git, or without an archive's file, the commit is unknown.
        if not os.path.exists(os.path.join(folder, ".git")):
            with open(os.path.join(folder, ".git_archival.txt"), encoding="utf-8") as file:
                return folder, address, file.read()
        address = folder
        if answers["_template"] != answers["_repo_dir"]:
            # Cookiecutter cloned what may have been an abbreviation. A password stays out of the record.
            with open(os.path.join(folder, ".git", "config"), encoding="utf-8") as file:
                url = re.search(r"^\s*url = (.*)", file.read(), re.MULTILINE)[1]
            address = re.sub(r"^(https?://)[^/]*@|^(ssh://[^/:@]*):[^/@]*(?=@)", r"\1\2", url)
        git = ["git", "--no-optional-locks", "-C", folder, "--git-dir=.git", "--work-tree=.", "status"]
        generated = ["cookiecutter.json", "hooks", "templates", "??cookiecutter*"]
        command = [*git, "--porcelain=v2", "--branch", "--", *generated]
        # A hook of git's that starts cookiecutter has variables which name another repository.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout
    return folder, address, said


def record():
    """Write .cruft.json, from which `make update` and cruft know the template, its commit and the answers."""
    folder, address, said = find_template()
    commit = re.search(r"^(?:# branch\.oid|node:) ([0-9a-f]{40,})$", said, re.MULTILINE)
    if not commit:
        print(f"`make update` will not work: git finds no commit in {folder}.")
        return
    if re.search("^[12u?] ", said, re.MULTILINE):
        print("The template has changes that are not committed: `make update` would take them for yours.")
    context = {name: answer for name, answer in answers.items() if not name.startswith("_")}
    context |= {"_template": address, "_commit": commit[1]}
    made = {"template": address, "commit": commit[1], "checkout": answers["_checkout"]}
    made |= {"context": {"cookiecutter": context}, "directory": None}
    with open(".cruft.json", "w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(made, ensure_ascii=False, indent=2) + "\n")


if "_output_dir" in answers:  # cookiecutter itself: cruft and update.py write records of their own
    record()
    print(f"Made {answers['project_slug']}. Next, in its folder:")
    print("git init -b main && git add . && git commit -m 'As generated' && make run")
