"""`python -m bridge` is `tracker-bridge`."""

from bridge.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
