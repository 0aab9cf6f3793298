"""Alerts without a stack: spikes of errors, the audit and budgets, as log lines and by a signed webhook."""
