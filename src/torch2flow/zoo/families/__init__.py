"""The pairs, a file for each family of models: names, rules and repairs as data."""
