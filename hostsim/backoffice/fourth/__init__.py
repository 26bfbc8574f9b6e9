"""The fourth book: the gateway's own list of captures and refunds beside the back office's."""
