"""`python -m typed_sessions`."""

import sys

from typed_sessions.tools.cli import main

sys.exit(main())
