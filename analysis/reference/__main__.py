"""The command `python -m analysis.reference`."""

import sys

from analysis.reference.gate import main

sys.exit(main())
