"""Runs the `vae` command, as `python -m vae`."""

from vaeserve.command.cli import main

if __name__ == "__main__":
    main()
