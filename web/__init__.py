"""HTTP layer: WHEP, REST, WebSocket, dashboard. It parses requests, submits commands and renders answers.

It uses the daemon through `supervisor.ports`, and never imports the layers behind it.
"""
