"""Runs the `vae` command, as `python -m vaeserve`."""

from vaeserve.command.cli import main

if __name__ == "__main__":
    main()
