"""The last hour of the fleet, beside its report, and as the pages draw it."""

from xml.etree import ElementTree

from django.template import Context, Template
from msgspec.structs import replace

from realtime.conf import RealtimeSettings
from realtime.fleet.history.fleet_history import merge
from realtime.fleet.history.minutes import MINUTES, History, Hour, Minute
from realtime.fleet.overview import gather
from tests.admin.test_own_service import NOWHERE, hosted
from tests.support.nats import NatsServer
from tests.support.simulated_fleet import made_up, simulated_fleet
from tests.support.waiting import eventually_async

NOW = 43_200 * 60 + 30.0


async def test_gather__one_instance_that_tells__complete(nats: NatsServer) -> None:
    # Given
    async with hosted(nats.url) as service:
        # When: as a page in this process does, and as one elsewhere
        own = await gather(NOWHERE, service.agent)
        others = await gather(RealtimeSettings(nats_servers=(nats.url,)))

        # Then
        for report in (own, others):
            assert report.history.complete
            assert report.history.since == service.recorder.hour().since


async def test_gather__an_instance_of_an_older_version__incomplete_and_not_waited_for(
    nats: NatsServer, nats_settings: RealtimeSettings
) -> None:
    # Given
    with simulated_fleet(nats_settings, made_up()):
        async with hosted(nats.url) as service:
            # When
            report = await gather(nats_settings, service.agent)

        # Then
        assert len(report.instances) == 2
        assert not report.history.complete
        assert report.history.since is not None
        assert report.nats_error is None


async def test_gather__nats_away__only_what_this_process_knows(
    nats: NatsServer,
) -> None:
    # Given
    async with hosted(nats.url) as service:
        nats.stop()
        await eventually_async(lambda: service.not_ready, what="the end of NATS")

        # When
        report = await gather(NOWHERE, service.agent)

        # Then
        assert report.nats_error is not None
        assert not report.history.complete
        assert report.history.since == service.recorder.hour().since


async def test_tags__a_history__drawn_as_well_formed_svg_without_style() -> None:
    # Given
    last = Minute(43_199, 421, publishes=[3, 0, 1], latencies=[0, 100])
    told = History(instance="sse-a", alive=1, hour=Hour(0, (last,)))
    history = await merge([told], NOW, complete=True)
    template = Template(
        "{% load fleet_charts %}<div>"
        "{% sparkline history.subscribers 'Subscribers' %}"
        "{% sparkline history.delivery_p99 'Delivery p99' 'latency' %}"
        "{% publishes_chart history %}</div>"
    )

    # When
    html = template.render(Context({"history": history}))

    # Then
    drawings = ElementTree.fromstring(html).iter("svg")  # noqa: S314  we have made it
    labels = [one.attrib["aria-label"] for one in drawings if "role" in one.attrib]
    unknown = f"not known in {MINUTES - 1} of {MINUTES} minutes"
    assert labels == [
        f"Subscribers: always 421; {unknown}",
        f"Delivery p99: always 2.5 ms; {unknown}",
        "Publishes per minute in the last hour: 3 × 202 stored, 1 × 401 wrong token; "
        + unknown,
    ]
    assert "style" not in html


async def test_merge__answer_of_another_version__what_is_known_is_drawn() -> None:
    # Given: one that tells of fewer outcomes, and one that tells of more
    hour = Hour(0, (Minute(43_199, publishes=[1]),))
    fewer = History(instance="sse-a", alive=2, hour=hour)
    minute = Minute(43_199, publishes=[1] * 7, latencies=[1] * 20)
    more = replace(fewer, instance="sse-b", hour=Hour(0, (minute,)))

    # When
    history = await merge([fewer, more], NOW, complete=True)

    # Then
    assert [series[-1] for series in history.publishes.values()] == [2, 1, 1, 1, 1]
