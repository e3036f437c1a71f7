# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the steps of a deployment. Knows playbooks and tests, not what is inside them.

Everything here runs on the standard library alone, except `live`, which needs rich and is
imported only inside the deployment's own virtual environment.
"""
