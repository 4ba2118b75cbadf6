"""``python3 -m rocminfra.lab.engine serve MODEL …``; in the image ``vllm`` runs this."""

from __future__ import annotations

import os
import sys

from rocminfra.lab.engine.serve import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
