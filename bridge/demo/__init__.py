"""The demo: the whole way of an export, with no account anywhere."""
