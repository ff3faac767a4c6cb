"""A row read by its primary key on PostgreSQL: the bare driver, SQLAlchemy Core as shipped, and a generated service."""

import json
import subprocess
from statistics import median

from manifest import answers_of
from measure import CONTENDERS, Ratio, Table, make, postgresql, rounds, save, services_environment, settings
from running import clean_environment

ROUNDS = 100
CORE = "Core as shipped"


def main() -> None:
    service = make("sql", **answers_of("minimal") | {"sql": "postgresql"})
    with postgresql() as url:
        env = clean_environment(**settings(service, DATABASE_URL=url))
        command = [services_environment() / "python", CONTENDERS / "inside_sql.py", str(rounds(ROUNDS)), url]
        told = subprocess.run(command, cwd=service, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    turns = json.loads(told)
    ratios = {name: Ratio.of(values, turns[CORE]) for name, values in turns.items()}
    rows = [[name, str(ratio), f"{median(turns[name]):.0f}"] for name, ratio in ratios.items()]
    note = (
        "Each reads in a Flask view, in one process without a server, over a connection to a database beside it. The service "
        "does all that it does for any request; the others do nothing else."
    )
    table = Table(
        "A row by its primary key",
        note,
        ["", "time, ratio", "µs"],
        rows,
        {name.replace("`", ""): ratio.median for name, ratio in ratios.items()},
    )
    save("sql", [table], [])


if __name__ == "__main__":
    main()
