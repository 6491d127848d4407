"""`python -m kalshiflow.venue` is `kalshiflow venue`."""

from kalshiflow.venue.cli import main

main()
