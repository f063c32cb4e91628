"""The demo: two workrooms with some days of history, and two freelancers who work now, on a clock that runs fast."""
