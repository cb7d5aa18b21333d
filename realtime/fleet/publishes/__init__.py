"""What became of the requests to publish: remembered in each process, added up over
all of them. It takes no requests itself."""
