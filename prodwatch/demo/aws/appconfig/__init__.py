"""AppConfig's deployments, scripted: their state is a pure function of the wall time."""
