#!/usr/bin/env python3
# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploys the replicated Odoo of this checkout; ./run.py --help says how."""

import os
import sys

if sys.version_info < (3, 9):  # noqa: UP036 - to say so is what this file is for; no f-string, which such a Python lacks
    sys.exit("run.py needs Python 3.9 or newer; this is Python " + sys.version.split()[0] + ", " + sys.executable)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - such a Python may lack pathlib

from runner.main import main

sys.exit(main(sys.argv[1:]))
