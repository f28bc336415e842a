"""Services of the daemon for its users: leases, rooms, detections, monitors, the gateway of the web."""
