"""The figures at the top of the overview."""

from msgspec.structs import replace

from realtime.admin.tiles import UNKNOWN, Tile, tiles
from realtime.fleet.fleet_report import FleetReport, Totals
from realtime.fleet.messages import Quantiles
from tests.support.simulated_fleet import made_up
from tests.unit.fleet.test_overview_memory import AT, report


def of(shown: FleetReport) -> dict[str, Tile]:
    return {tile.key: tile for tile in tiles(shown)}


def with_hour(**series: tuple[int, ...]) -> FleetReport:
    """With these values in the newest minutes, and 0 before."""
    shown = report()
    filled = {name: (0,) * (60 - len(v)) + v for name, v in series.items()}
    return replace(shown, history=replace(shown.history, since=0.0, **filled))


def test_tiles__nothing_known_of_the_hour__figures_of_now_only() -> None:
    # When
    found = of(replace(report(), totals=Totals(1234, 2, 0, 0)))

    # Then
    assert found["subscribers"].value == "1,234"
    assert found["subscribers"].warning == "2 lagging"
    assert found["deliveries"].value == UNKNOWN
    assert found["rejections"].value == UNKNOWN
    assert found["p99"].value == UNKNOWN


def test_tiles__hour__figures_of_its_last_minute_and_what_was_otherwise() -> None:
    # When
    found = of(
        with_hour(
            subscribers=(480, 420),
            deliveries=(5, 2140),
            rejections=(4, 0, 0),
        )
    )

    # Then
    assert found["deliveries"].value == "2,140"
    assert found["subscribers"].note == "▲ 420 in 59 min"
    assert found["rejections"].value == "0"
    # at 08:00 the newest minute is not told yet, and the third before began at 07:56
    assert found["rejections"].note == "4 at 07:56"
    assert found["subscribers"].series[-2:] == (480, 420)
    assert AT % 60 == 0


def test_tiles__instances__versions_and_how_many_are_expected() -> None:
    # Given
    slow = Quantiles(p50=0.001, p95=0.002, p99=0.0098, count=1)
    fleet = (
        made_up(1, host="one", worker=0, version="0.2.0", delivery_seconds=slow),
        made_up(2, host="one", worker=1, version="0.2.0"),
        made_up(3, version="0.1.0"),
    )

    # When
    found = of(replace(report(), instances=fleet, expected=3))

    # Then
    assert found["instances"].value == "3"
    assert found["instances"].note == "2 of 3 hosts expected · 0.2.0 × 2"
    assert found["instances"].warning == "0.1.0 × 1"
    assert found["p99"].value == "9.8 ms"
