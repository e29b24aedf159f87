"""SIGINT and SIGTERM raise at once, wait, or are recorded, as `mamp_schemas.signals` says."""

import signal
import threading

import pytest

from mamp_schemas.errors import Interrupted
from mamp_schemas.signals import defer_sigterm, handle_sigterm, interrupt_immediately, interruptible, record_signals


def test_interruptible__waits_until_it_is_asked() -> None:
    with interruptible() as check_interrupt:
        check_interrupt()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted, match="SIGTERM"):
            check_interrupt()


def test_interruptible__a_second_signal_does_not_wait() -> None:
    with interruptible():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt) as caught:
            signal.raise_signal(signal.SIGINT)
    assert not isinstance(caught.value, Interrupted)


def test_interruptible__sigterm_may_come_twice() -> None:
    with interruptible() as check_interrupt:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted, match="SIGTERM"):
            check_interrupt()


def test_interruptible__gives_the_handlers_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_interrupt_immediately__raises_where_the_signal_comes(number: signal.Signals, code: int) -> None:
    with interrupt_immediately(), pytest.raises(Interrupted, match=number.name) as caught:
        signal.raise_signal(number)
    assert caught.value.exit_code == code


def test_handle_sigterm__raises_once_and_ignores_the_next() -> None:
    def stop_and_clean_up() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)

    with handle_sigterm(), pytest.raises(Interrupted, match="SIGTERM") as caught:
        stop_and_clean_up()
    assert caught.value.exit_code == 75


def test_handle_sigterm__gives_the_handler_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with handle_sigterm():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_record_signals__appends_every_signal_in_order() -> None:
    with record_signals() as received:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert received == [signal.SIGTERM, signal.SIGINT]


def test_defer_sigterm__raises_when_the_context_ends() -> None:
    steps = []

    def start() -> None:
        with defer_sigterm():
            signal.raise_signal(signal.SIGTERM)
            steps.append("done")

    with handle_sigterm(), pytest.raises(Interrupted, match="SIGTERM"):
        start()
    assert steps == ["done"]


def test_interruptible__in_another_thread_does_nothing() -> None:
    before, checked = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with interruptible() as check_interrupt:
            check_interrupt()
            checked.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert checked == [before]
