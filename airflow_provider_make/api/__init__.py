"""One request to Make's analytics endpoint, from the query to the parsed page."""
