"""The resources of the web layer: one module for each, with a table `ROUTES` of the routes that lead to it."""

RESOURCES = (
    "whep",
    "pictures",
    "cameras",
    "devices",
    "processes",
    "config",
    "peers",
    "leases",
    "detections",
    "events",
    "state",
    "causes",
    "timeline",
    "availability",
    "health",
    "metrics",
    "stream",
    "signaling",
    "page",
    "setup",
    "session",
    "passkeys",
    "users",
    "openapi",
)
"""The modules, in the order of `ops/docs/api.md`."""
