#!/bin/sh
# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# Destroys this deployment; needs no more than python3 and whatever made the machines.
exec python3 "$(dirname "$0")/run.py" teardown "$@"
