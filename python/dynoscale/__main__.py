"""``python -m dynoscale``: the command line, also installed as ``dynoscale``."""

import sys

from dynoscale._cli import main

sys.exit(main())
