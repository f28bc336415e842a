"""The calibration of a bench: two costs of a sent packet, measured once in a process."""

from ops.bench.lib import calibrate
from ops.bench.lib.meter import machine
from ops.bench.lib.report import Report
from ops.bench.lib.stream import PAYLOAD


def test_calibration_has_both_costs() -> None:
    """A packet of the benches' stream is encrypted, and a run of such packets is sent, in less than a millisecond."""
    measured = calibrate.calibrate()
    assert calibrate.PAYLOAD == PAYLOAD
    assert 0 < measured.aes_gcm_us < 1000
    assert measured.segmented_send_us is not None
    assert 0 < measured.segmented_send_us < 1000
    assert measured is calibrate.calibrate()


def test_page_and_json_of_a_report_state_the_calibration() -> None:
    """Both name the machine, and both costs in µs."""
    report = Report("A bench", ("server", "ms"), [("banken", 1.0)])
    measured = calibrate.calibrate()
    assert f"\n\nMachine: {machine()}, load " in report.page()
    assert f"\nCalibration (CPU time): {measured}.\n\n" in report.page()
    assert report.values()["calibration"] == {
        "aes_gcm_us": measured.aes_gcm_us,
        "segmented_send_us": measured.segmented_send_us,
    }
