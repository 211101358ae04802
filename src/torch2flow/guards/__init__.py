"""What stands between us and what comes from outside: files, JSON, values by hand, and the folder we are started in."""
