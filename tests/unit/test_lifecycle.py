"""The phases of a process, and why it serves no stream in each."""

import pytest

from realtime.lifecycle import Lifecycle, Phase


class Worker:
    """A supervisor that replaces nobody."""

    def __init__(self) -> None:
        self.asked = 0

    def leave(self) -> None:
        self.asked += 1

    async def scrape(self) -> bytes:
        return b""


@pytest.fixture
def life() -> Lifecycle:
    life = Lifecycle(lambda: None)
    life.supervisor = Worker()
    return life


def test_stay__no_replacement_for_one_that_leaves__serves_on(life: Lifecycle) -> None:
    # Given
    life.leave("alice")
    assert (life.leaving, life.drained_by) == (True, "alice")
    assert life.not_ready is None

    # When
    life.stay()

    # Then
    assert (life.phase, life.leaving) == (Phase.SERVING, False)
    assert life.drained_by == ""


def test_leave__then_drains__was_told_to(life: Lifecycle) -> None:
    # Given
    life.leave("alice")

    # When
    life.begin_drain(17)

    # Then
    assert life.leaving
    assert life.draining


def test_leave__draining_already__goes_on_draining(life: Lifecycle) -> None:
    # Given
    life.begin_drain(17)

    # When
    life.leave("alice")
    life.stay()

    # Then
    assert life.phase is Phase.DRAINING
    assert life.streams_at_drain == 17


@pytest.mark.parametrize(
    ("others_listen", "died", "reason"),
    [(False, False, "draining"), (True, False, None), (True, True, "draining")],
)
def test_refusal__draining__served_if_others_take_new_connections(
    life: Lifecycle, others_listen: bool, died: bool, reason: str | None
) -> None:
    # Given
    life.others_listen = others_listen
    if died:
        life.die()

    # When
    life.begin_drain(1)

    # Then
    refusal = life.refusal
    assert (refusal and refusal.reason) == reason
    assert life.not_ready is not None
    assert life.not_ready_since is not None
