"""The demo: the whole way of an export, with no account anywhere; and the examples of what test IO posts."""
