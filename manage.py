#!/usr/bin/env python3
"""The operator's door: `./manage.py help` lists the commands."""

import gc
import sys


def main() -> int:
    # Loading makes objects that stay: no collection in the middle of it, see moeen.cli.
    gc.disable()
    try:
        from moeen.cli import main as run
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "moeen":
            raise
        print(
            f"Error: the Python package {error.name!r} is not installed for {sys.executable}.\n"
            "Run `make migrate` once; then use .venv/bin/python manage.py ...",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:  # nothing was begun
        print("Cancelled.", file=sys.stderr)
        return 130
    return run(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
