"""What the service says about itself: metrics, pages over HTTP, and the log.

monitoring the pages of a server
metrics    what was counted, for Prometheus; the only import of prometheus_client
http_port  pages over HTTP, for metrics and health
logs       the log, as text or JSON
"""
