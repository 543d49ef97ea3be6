"""One module for each step. A step names its columns itself and never imports the schema."""
