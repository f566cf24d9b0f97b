"""`python -m orderkit` is `orderkit`."""

from orderkit.cli import main

main()
