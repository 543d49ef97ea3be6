"""`python -m lakeward.cli`: the command, where its script is not on the path."""

import sys

from lakeward.cli import main

sys.exit(main())
