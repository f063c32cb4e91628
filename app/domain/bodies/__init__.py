"""Bodies of entries: a class for each kind, by who writes it. `app.domain.events` checks and lists them."""
