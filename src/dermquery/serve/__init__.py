"""The service: an HTTP API and a web page over one case base. Thin: everything that knows of cases is below it."""
