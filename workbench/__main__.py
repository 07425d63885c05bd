"""`python -m workbench VERB`."""

import sys

from workbench.cli.main import main

sys.exit(main(sys.argv[1:]))
