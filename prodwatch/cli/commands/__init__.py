"""The commands, one module each, named as they are typed; each offers `command`."""
