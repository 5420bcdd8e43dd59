"""`python -m dermquery` is the `dermquery` program."""

from dermquery.cli import main

main()
