"""`python -m typed_sessions`."""

import sys

from typed_sessions.cli import main

sys.exit(main())
