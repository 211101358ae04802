"""A package of which nothing is needed here but what lies in it."""
