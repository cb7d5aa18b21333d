"""The task processor, as Flagsmith's command `start task-processor` runs it, without
its web server: `python processor.py THREADS SLEEP_MILLISECONDS TASKS_AT_ONCE`."""

import signal
import sys

import django
from django.core.management import call_command
from django.utils.module_loading import autodiscover_modules

if __name__ == "__main__":
    django.setup()
    call_command("check")
    autodiscover_modules("metrics", "tasks")
    from task_processor.utils import start_task_processor

    threads, sleep, size = map(int, sys.argv[1:])
    options = {
        "numthreads": threads,
        "sleepintervalms": sleep,
        "graceperiodms": 20_000,
        "queuepopsize": size,
    }
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with start_task_processor(options):
        print("started", flush=True)
        signal.sigwait(signals)
