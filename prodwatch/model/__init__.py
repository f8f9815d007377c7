"""The frozen values every other room speaks in; imports nothing of ours."""
