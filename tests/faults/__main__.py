"""`make faults`: everything goes wrong, for as long as it takes, and nothing may be lost or doubled.

make faults                              10 000 exports, on SQLite and on PostgreSQL with three daemons
make faults EXPORTS=1000 SEED=7 DATABASE=sqlite
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from random import Random

from tests.faults import databases, plan
from tests.faults.report import Progress, Result, details, machine, table
from tests.faults.run import prepared

OPENERS = {"sqlite": databases.sqlite, "postgresql": databases.postgres}


def main() -> int:
    """Run, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__.partition("\n")[0])
    parser.add_argument("--exports", type=int, default=10_000, help="how many exports are posted")
    parser.add_argument("--seed", type=int, default=None, help="of all dice; a new one without it")
    parser.add_argument("--database", choices=[*OPENERS, "both"], default="both")
    given = parser.parse_args()
    seed = Random().randrange(10**6) if given.seed is None else given.seed
    names = list(OPENERS) if given.database == "both" else [given.database]
    print(f"SEED={seed} EXPORTS={given.exports} DATABASE={given.database}", file=sys.stderr, flush=True)
    results = [_run(name, seed, given.exports) for name in names]
    print(f"{machine()}\n\n{table(results)}\n\n{details(results)}")
    for result in results:
        for problem in result.wrong[:50]:
            print(f"WRONG: {result.database}: {problem}", file=sys.stderr)
    return 1 if any(result.wrong for result in results) else 0


def _run(name: str, seed: int, exports: int) -> Result:
    """Run on one database. What the daemons said is kept where something is wrong."""
    progress, folder = Progress(), Path(tempfile.mkdtemp(prefix="bridge-faults-"))
    with prepared(OPENERS[name], folder, seed=seed, exports=exports, rhythm=plan.LONG) as run:
        result = run.go(progress)
    progress.end()
    if result.wrong:
        print(f"what the daemons said: {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)
    return result


if __name__ == "__main__":
    sys.exit(main())
