"""The shop on release night: its handlers, its traffic and its staged releases, all from one seed."""
