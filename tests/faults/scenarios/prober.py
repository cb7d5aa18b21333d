"""`python -m tests.faults.scenarios.prober URL`: ask for it on new connections all the
time and print the seconds that each answer took. A process of its own: the clients of a
scenario would keep it waiting."""

import sys
import time
import urllib.request

PAUSE_SECONDS = 0.1


def main() -> None:
    while True:
        began = time.monotonic()
        with urllib.request.urlopen(sys.argv[1], timeout=60) as answer:  # noqa: S310  of the harness
            answer.read()
        print(time.monotonic() - began, flush=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
