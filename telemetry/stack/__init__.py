"""The whole stack on one machine without containers: service, collector, Jaeger, Prometheus, Alertmanager.

Refuses to import the service: it is a program among the others here, started as anybody would start it.
"""
