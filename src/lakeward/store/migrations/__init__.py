"""Migrations of the app database; one file each under `versions`, never changed once released."""
