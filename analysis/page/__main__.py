"""The command `python -m analysis.page`."""

import sys

from analysis.page.html import main

sys.exit(main())
