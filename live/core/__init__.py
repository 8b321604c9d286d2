"""Decide: events in, commands out. Pure and synchronous: no clock, no socket, no file, no thread, no chance."""
