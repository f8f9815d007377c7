"""The dashboard: widgets that show views and send intents; it decides nothing."""
