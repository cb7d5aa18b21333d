"""All faults and scenarios, by name."""

from tests.faults.cluster_faults import CLUSTER_FAULTS
from tests.faults.node_faults import NODE_FAULTS
from tests.faults.process_faults import PROCESS_FAULTS
from tests.faults.scenarios.bad_requests import BAD_REQUESTS
from tests.faults.scenarios.clock import CLOCK
from tests.faults.scenarios.environments import MANY_ENVIRONMENTS
from tests.faults.scenarios.flood import FLOOD
from tests.faults.scenarios.hung_worker import HUNG_WORKER
from tests.faults.scenarios.open_files import OPEN_FILES
from tests.faults.scenarios.publish_storm import PUBLISH_STORM
from tests.faults.scenarios.replacement import REPLACEMENT
from tests.faults.scenarios.silent import SILENT
from tests.faults.scenarios.storm import STORM
from tests.faults.scenarios.update_storm import UPDATE_STORM
from tests.faults.scenarios.vanished import VANISHED
from tests.faults.stream_faults import STREAM_FAULTS

ON_ONE_NODE = {
    fault.name: fault for fault in (*NODE_FAULTS, *STREAM_FAULTS, *PROCESS_FAULTS)
}
ON_A_CLUSTER = {fault.name: fault for fault in CLUSTER_FAULTS}
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        *(SILENT, VANISHED, BAD_REQUESTS, OPEN_FILES, STORM),
        *(MANY_ENVIRONMENTS, CLOCK),
        *(UPDATE_STORM, PUBLISH_STORM, FLOOD, HUNG_WORKER, REPLACEMENT),
    )
}
NAMES = (*ON_ONE_NODE, *ON_A_CLUSTER, *SCENARIOS)
SHORT = (
    *("kill", "blink", "empty-store", "cut", "consumer-deleted", "stream-deleted"),
    *("out-of-storage", "foreign", "worker-killed", "workers-replaced", "terminated"),
    *("disk-keeper-killed", "leader-killed", "open-files"),
)
"""What `make test` runs: two minutes."""
