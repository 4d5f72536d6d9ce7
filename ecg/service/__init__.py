"""The HTTP service: a detector behind FastAPI.

server      loads a detector and serves it
app         the routes
schemas     the bodies of requests and responses
limits      the largest request that is accepted
middleware  API key and size limit, checked before a body is read
monitoring  metrics for Prometheus
problems    errors as problem details (RFC 9457)
"""
