"""From entries to rows, and into XCom or one stored object."""
