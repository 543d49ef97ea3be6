"""Followers that deliver somewhere else; each can also forget a person there."""
