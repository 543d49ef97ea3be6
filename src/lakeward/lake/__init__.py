"""Answers from the lake's files: what a day holds, without any database."""
