"""The HTTP service: a detector behind FastAPI.

server     loads a detector and serves it
app        the routes
schemas    what they take and give
gate       the key and the limit, before a body is read
meter      what is counted, for Prometheus
problems   what is wrong with a request, as RFC 9457 has it
"""
