"""What a report says when the samples are less than perfect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from agent.errors import ConfigurationError
from agent.estimation import Estimates, Estimator, Flag, Quality, Settings
from agent.estimation.waveform import Ramp, Step, Tone, Waveform
from tests.estimation.playback import Array, play

SETTINGS = Settings(nominal_hz=50, samples_per_second=4000)


def feed(
    estimator: Estimator,
    samples: Array,
    settings: Settings = SETTINGS,
    smp_synch: Callable[[int], int] | None = None,
) -> list[Estimates]:
    """Push report by report; samples of shape (streams, channels, n) from a UTC second on."""
    reports, start = [], 0
    while True:
        end = settings.newest_sample(len(reports) + 1) + 1
        if end > samples.shape[-1]:
            return reports
        synch = None if smp_synch is None else np.array([smp_synch(start)] * len(samples))
        estimator.push(samples[..., start:end], synch)
        reports.append(estimator.report())
        start = end


def times(seconds: float, rate: int = 4000) -> Array:
    return np.arange(round(seconds * rate)) / rate


def voltages(waveform: Waveform, seconds: float, rate: int = 4000) -> Array:
    return waveform.voltages(times(seconds, rate))[np.newaxis]


def test_warm_up_is_invalid_and_says_nominal() -> None:
    reports = feed(Estimator(SETTINGS), voltages(Waveform(f_hz=49.2), 0.5))
    window_s = SETTINGS.window_samples / 4000
    for report in reports:
        newest_s = (report.instant_sample + SETTINGS.delay_samples + 1) / 4000
        if newest_s < window_s:
            assert report.quality[0] == Quality.INVALID
            assert report.flags[0] & Flag.WARM_UP
            assert report.f_hz[0] == 50.0
    assert reports[-1].quality[0] == Quality.GOOD
    assert reports[-1].f_hz[0] == pytest.approx(49.2, abs=1e-4)


@pytest.mark.parametrize(
    ("f0", "rate", "reports"),
    [(50, 4000, 50), (50, 4800, 100), (60, 5760, 50), (60, 14400, 60), (50, 14400, 10)],
)
@pytest.mark.parametrize("filter_name", ["default", "low-latency"])
def test_reports_fall_on_utc_multiples_of_the_period(
    f0: int, rate: int, reports: int, filter_name: str
) -> None:
    settings = Settings(
        nominal_hz=f0, samples_per_second=rate, reports_per_second=reports, filter=filter_name
    )
    recording = play(settings, [Waveform(f_hz=f0 + 0.2, phase_rad=1.0)], 1.0)
    expected_s = np.arange(1, len(recording.instant_s) + 1) / reports
    assert np.abs(recording.instant_s - expected_s).max() <= 0.5 / rate + 1e-12
    # The phase is that of the cosine at the instant, so the instant is what it claims to be.
    angle = 2 * np.pi * (f0 + 0.2) * recording.instant_s + 1.0
    error = np.angle(np.exp(1j * (recording.phase_rad[:, 0] - angle)))
    assert np.abs(error[recording.quality[:, 0] == Quality.GOOD]).max() < 1e-4


def test_samples_may_come_in_any_portions() -> None:
    samples = voltages(Waveform(f_hz=50.3), 0.6, 14400)
    settings = Settings(nominal_hz=50, samples_per_second=14400)
    whole, portions = Estimator(settings), Estimator(settings)
    rng = np.random.default_rng(3)
    start = 0
    for report in range(1, 25):
        end = settings.newest_sample(report) + 1
        whole.push(samples[..., start:end])
        while start < end:
            stop = min(end, start + int(rng.integers(1, 100)))
            portions.push(samples[..., start:stop])
            start = stop
        one, other = whole.report(), portions.report()
        assert one.instant_sample == other.instant_sample
        assert one.f_hz == pytest.approx(other.f_hz, abs=2e-6)


def test_streams_do_not_influence_each_other() -> None:
    t_s = times(1.0)
    rng = np.random.default_rng(4)
    waveforms = [
        Waveform(f_hz=f, steps=(Step(0.5, (0.4, 1, 1), (0.3, 0, 0)),), v_rms_v=v)
        for f, v in ((49.0, 230), (50.04, 200), (50.06, 11e3), (52.5, 100))
    ]
    samples = np.stack([w.voltages(t_s) for w in waveforms]) + rng.normal(0, 0.1, (4, 3, 4000))
    samples[2, :, 3000:3050] = np.nan
    together = feed(Estimator(SETTINGS, 4), samples)
    for stream in range(4):
        alone = feed(Estimator(SETTINGS), samples[stream : stream + 1])
        for one, many in zip(alone, together, strict=True):
            assert one.f_hz[0] == pytest.approx(many.f_hz[stream], abs=1e-5)
            assert one.quality[0] == many.quality[stream]
            assert one.flags[0] == many.flags[stream]


def test_a_calm_stream_is_reported_alike_alone_and_beside_disturbed_ones() -> None:
    """Alone it takes the shortcuts; a stream in an event, off clock or without voltage has none."""
    calm = voltages(Waveform(f_hz=49.97), 2.0)
    others = np.concatenate([
        voltages(Waveform(f_hz=50.0, steps=(Step(0.3 * n, phase_rad=(1.0, 0, 0)),)), 2.0)
        for n in range(1, 6)
    ])  # fmt: skip
    others[-1, :, 3000:3100] = np.nan
    alone = feed(Estimator(SETTINGS), calm)
    together = feed(Estimator(SETTINGS, 6), np.concatenate([calm, others]))
    for one, all_six in zip(alone, together, strict=True):
        for field in fields(one):
            value = getattr(one, field.name)
            if isinstance(value, np.ndarray):
                beside = getattr(all_six, field.name)[:1]
                np.testing.assert_allclose(value, beside, atol=1e-4, err_msg=field.name)


def test_voltages_currents_power_and_sequences() -> None:
    t_s = times(1.0)
    voltage = Waveform(f_hz=50.2, v_rms_v=230.0)
    current = Waveform(f_hz=50.2, v_rms_v=100.0, phase_rad=-np.pi / 6)
    samples = np.concatenate([voltage.voltages(t_s), current.voltages(t_s)])[np.newaxis]
    report = feed(Estimator(SETTINGS, 1, with_current=True), samples)[-1]
    assert report.v_rms_v[0] == pytest.approx([230.0] * 3, rel=1e-3)
    assert report.i_rms_a[0] == pytest.approx([100.0] * 3, rel=1e-3)
    assert report.v1_v[0] == pytest.approx(230.0, rel=1e-5)
    assert [report.v2_v[0], report.v0_v[0]] == pytest.approx([0, 0], abs=0.01)
    assert report.p_w[0] == pytest.approx(3 * 230 * 100 * np.cos(np.pi / 6), rel=1e-3)
    assert report.q_var[0] == pytest.approx(3 * 230 * 100 * np.sin(np.pi / 6), rel=1e-3)
    assert report.pf[0] == pytest.approx(np.cos(np.pi / 6), rel=1e-3)


def test_power_is_positive_in_the_direction_of_the_pushed_current() -> None:
    t_s = times(0.6)
    out, back = Waveform(v_rms_v=230.0), Waveform(v_rms_v=10.0, phase_rad=np.pi)
    samples = np.concatenate([out.voltages(t_s), back.voltages(t_s)])[np.newaxis]
    assert feed(Estimator(SETTINGS, 1, with_current=True), samples)[-1].p_w[0] < 0


def test_without_current_there_is_no_power() -> None:
    report = feed(Estimator(SETTINGS), voltages(Waveform(), 0.5))[-1]
    assert np.isnan([report.p_w[0], report.q_var[0], report.pf[0], *report.i_rms_a[0]]).all()


def test_sequences_of_an_unbalanced_voltage() -> None:
    waveform = Waveform(f_hz=49.9, tones=(Tone(0.04, 49.9, -1), Tone(0.03, 49.9, 0)))
    report = feed(Estimator(SETTINGS), voltages(waveform, 0.6))[-1]
    assert report.v2_v[0] == pytest.approx(0.04 * 230, rel=1e-3)
    assert report.v0_v[0] == pytest.approx(0.03 * 230, rel=1e-3)


@pytest.mark.parametrize("f_hz", [49.5, 50.0, 50.5])
def test_total_distortion(f_hz: float) -> None:
    waveform = Waveform(f_hz=f_hz, tones=(Tone(0.05, 5 * f_hz, -1), Tone(0.03, 7 * f_hz, 1)))
    report = feed(Estimator(SETTINGS), voltages(waveform, 0.6))[-1]
    assert report.thd[0] == pytest.approx([np.hypot(0.05, 0.03)] * 3, abs=3e-3)


def test_a_gap_is_filled_and_flagged_until_it_has_left_the_window() -> None:
    samples = voltages(Waveform(f_hz=49.85), 1.5)
    samples[..., 3000:3080] = np.nan
    reports = feed(Estimator(SETTINGS), samples)
    for report in reports[10:]:
        newest = report.instant_sample + SETTINGS.delay_samples
        inside = newest >= 3000 and newest - SETTINGS.window_samples < 3079
        assert bool(report.flags[0] & Flag.GAP_FILLED) == inside
        assert report.quality[0] in (Quality.GOOD, Quality.QUESTIONABLE)
        assert report.f_hz[0] == pytest.approx(49.85, abs=1e-3)


def test_a_lost_stream_is_invalid_at_its_last_frequency_and_recovers() -> None:
    samples = voltages(Waveform(f_hz=49.85), 2.5)
    samples[..., 3000:6000] = np.nan
    reports = feed(Estimator(SETTINGS), samples)
    newest = np.array([r.instant_sample + SETTINGS.delay_samples for r in reports])
    lost = [r for r, n in zip(reports, newest, strict=True) if 3111 <= n < 6000]
    assert {int(r.quality[0]) for r in lost} == {Quality.INVALID}
    assert all(r.flags[0] & Flag.GAP_TOO_LONG for r in lost)
    assert [r.f_hz[0] for r in lost] == pytest.approx([49.85] * len(lost), abs=1e-3)
    assert reports[-1].quality[0] == Quality.GOOD
    assert reports[-1].f_hz[0] == pytest.approx(49.85, abs=1e-4)


def test_missing_current_invalidates_only_the_power() -> None:
    t_s = times(1.0)
    samples = np.concatenate([Waveform().voltages(t_s)] * 2)[np.newaxis]
    samples[:, 3:, 3000:3200] = np.nan
    report = feed(Estimator(SETTINGS, 1, with_current=True), samples[..., :3300])[-1]
    assert report.flags[0] & Flag.CURRENT_GAP
    assert report.quality[0] == Quality.GOOD


@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf, 1e30, 0.0])
def test_nothing_that_is_pushed_escapes_as_an_exception_or_a_good_value(garbage: float) -> None:
    samples = voltages(Waveform(), 1.0)
    samples[..., 2000:] = garbage
    reports = feed(Estimator(SETTINGS), samples)
    newest = [r.instant_sample + SETTINGS.delay_samples for r in reports]
    after = [r for r, n in zip(reports, newest, strict=True) if n > 2400]
    assert all(r.quality[0] != Quality.GOOD for r in after)
    assert all(np.isfinite(r.f_hz[0]) for r in reports)
    assert all(49.5 < r.f_hz[0] < 50.5 for r in reports)


def test_no_voltage_is_held_for_half_a_second_then_invalid() -> None:
    samples = voltages(Waveform(f_hz=49.9, steps=(Step(1.0, (0.01,) * 3),)), 2.5)
    reports = feed(Estimator(SETTINGS), samples)
    codes = {
        round((r.instant_sample + SETTINGS.delay_samples) / 4000, 3): int(r.quality[0])
        for r in reports
    }
    assert all(code == Quality.HELD for t, code in codes.items() if 1.06 < t < 1.48)
    assert all(code == Quality.INVALID for t, code in codes.items() if t > 1.62)
    assert reports[-1].flags[0] & Flag.LOW_VOLTAGE
    assert reports[-1].f_hz[0] == pytest.approx(49.9, abs=2e-3)


@pytest.mark.parametrize(
    ("smp_synch", "flag", "quality"),
    [
        (0, Flag.CLOCK_FREE | Flag.PHASE_INVALID, Quality.QUESTIONABLE),
        (1, Flag.PHASE_INVALID, Quality.GOOD),
        (2, Flag(0), Quality.GOOD),
        (200, Flag.PHASE_INVALID, Quality.GOOD),
    ],
)
def test_smp_synch_decides_what_may_be_used(smp_synch: int, flag: Flag, quality: Quality) -> None:
    reports = feed(
        Estimator(SETTINGS),
        voltages(Waveform(), 1.0),
        smp_synch=lambda start: smp_synch if start >= 2000 else 2,
    )
    assert reports[20].flags[0] == 0
    assert reports[-1].flags[0] == flag
    assert reports[-1].quality[0] == quality
    assert reports[-1].f_hz[0] == pytest.approx(50.0, abs=1e-4)
    assert (reports[-1].uncertainty_hz[0] > 2 * reports[20].uncertainty_hz[0]) == (smp_synch == 0)


def test_clock_flags_leave_with_the_window() -> None:
    reports = feed(
        Estimator(SETTINGS),
        voltages(Waveform(), 1.0),
        smp_synch=lambda start: 0 if start < 2000 else 2,
    )
    newest = [r.instant_sample + SETTINGS.delay_samples for r in reports]
    for report, n in zip(reports, newest, strict=True):
        if n - SETTINGS.window_samples > 2100:
            assert report.flags[0] == 0


@pytest.mark.parametrize("rate_hz_s", [-2.0, 4.0])
def test_a_real_excursion_with_a_phase_jump_is_followed(rate_hz_s: float) -> None:
    """Loss of a large unit: a jump of 8°, then a ramp. Held for 0.15 s, then true to 30 mHz."""
    waveform = Waveform(
        f_hz=50.0,
        ramp=Ramp(1.0, rate_hz_s, 0.6),
        steps=(Step(1.0, phase_rad=(0.14,) * 3),),
    )
    recording = play(SETTINGS, [waveform], 2.2)
    newest_s = recording.instant_s + SETTINGS.delay_samples / 4000
    after = newest_s > 1.15
    error = np.abs(recording.f_hz[:, 0] - waveform.true_f_hz(recording.instant_s))
    assert error[after].max() < 0.03 + 0.05 * abs(rate_hz_s)
    settled = newest_s > 1.35
    assert error[settled & (newest_s < 1.6)].max() < 2e-3


@pytest.mark.parametrize("rate_hz_s", [-6.0, 8.0, -10.0])
def test_after_a_violent_excursion_the_frequency_is_found_again(rate_hz_s: float) -> None:
    waveform = Waveform(ramp=Ramp(1.0, rate_hz_s, 0.4), steps=(Step(1.0, (0.7, 1, 1)),))
    recording = play(SETTINGS, [waveform], 3.0).between(2.4, 3.0)
    assert set(recording.quality[:, 0]) == {Quality.GOOD}
    assert recording.f_hz[:, 0] == pytest.approx(waveform.true_f_hz(recording.instant_s), abs=1e-3)


def test_a_stated_uncertainty_covers_the_error() -> None:
    """95 % of all reports that are not invalid, over steady, noisy, stepped and ramped voltages."""
    waveforms = [
        Waveform(f_hz=50.3),
        Waveform(f_hz=49.6, tones=(Tone(0.05, 249.0, -1),)),
        Waveform(f_hz=50.1, tones=(Tone(0.1, 77.0),)),
        Waveform(f_hz=50.0, steps=(Step(1.0, (0.5, 0.8, 1.0), (0.3, -0.2, 0.0)),)),
        Waveform(f_hz=50.0, steps=(Step(1.0, phase_rad=(0.4,) * 3),)),
        Waveform(f_hz=50.0, ramp=Ramp(1.0, 0.5, 1.0)),
    ]
    recording = play(SETTINGS, waveforms, 2.4)
    truth = np.stack([w.true_f_hz(recording.instant_s) for w in waveforms], axis=1)
    valid = recording.quality != Quality.INVALID
    covered = np.abs(recording.f_hz - truth) <= recording.uncertainty_hz
    assert covered[valid].mean() > 0.95


def test_trip_rocof_is_the_mean_over_its_window() -> None:
    samples = voltages(Waveform(ramp=Ramp(0.5, 1.2, 5.0)), 2.5)
    reports = feed(Estimator(SETTINGS), samples)
    assert np.isnan(reports[5].rocof_trip_hz_s[0])
    assert reports[-1].rocof_trip_hz_s[0] == pytest.approx(1.2, abs=0.01)


def test_a_phase_step_does_not_spike_the_trip_rocof() -> None:
    samples = voltages(Waveform(steps=(Step(1.5, phase_rad=(0.35,) * 3),)), 2.5)
    reports = feed(Estimator(SETTINGS), samples)
    averages = np.array([r.rocof_trip_hz_s[0] for r in reports])
    assert np.nanmax(np.abs(averages)) < 0.1


def test_the_gate_can_be_opened() -> None:
    settings = Settings(nominal_hz=50, samples_per_second=4000, gate=False)
    samples = voltages(Waveform(steps=(Step(1.0, phase_rad=(0.35,) * 3),)), 1.5)
    spread = [r.f_hz[0] for r in feed(Estimator(settings), samples, settings)]
    assert max(abs(f - 50.0) for f in spread) > 0.1


def test_ten_reports_a_second_still_see_every_step() -> None:
    settings = Settings(nominal_hz=50, samples_per_second=4000, reports_per_second=10)
    for offset_s in np.arange(0, 0.1, 0.013):
        waveform = Waveform(steps=(Step(1.0 + offset_s, phase_rad=(0.5,) * 3),))
        recording = play(settings, [waveform], 2.0)
        assert np.abs(recording.f_hz - 50.0).max() < 0.02


def test_beyond_the_span_is_questionable() -> None:
    reports = feed(Estimator(SETTINGS), voltages(Waveform(f_hz=43.5), 1.0))
    assert reports[-1].flags[0] & Flag.OUT_OF_SPAN
    assert reports[-1].quality[0] == Quality.QUESTIONABLE
    assert reports[-1].f_hz[0] < 44.4


def test_settings_out_of_range_are_all_found_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings(nominal_hz=55, samples_per_second=100, reports_per_second=1, v_nominal_v=-1.0)
    found = {finding.where for finding in caught.value.findings}
    assert found == {
        "estimation.nominal_hz",
        "estimation.samples_per_second",
        "estimation.reports_per_second",
        "estimation.v_nominal_v",
    }


def test_every_array_has_one_row_a_stream() -> None:
    report = Estimator(SETTINGS, 7, with_current=True).report()
    names = [item.name for item in fields(report)]
    names += [name for name in dir(report.quantities) if not name.startswith("_")]
    assert {"v1_v", "v2_v", "v0_v", "thd", "pf", "p_w", "i_rms_a"} <= set(names)
    for name in names:
        value = getattr(report, name)
        if isinstance(value, np.ndarray):
            assert value.shape[0] == 7, name


def test_a_frequency_that_is_no_number_is_never_published_nor_used_for_gaps(monkeypatch):
    estimator = Estimator(Settings(nominal_hz=50, samples_per_second=4000))
    time_s = np.arange(4000) / 4000
    phases = 2 * np.pi * (50 * time_s - np.array([[0], [1 / 3], [2 / 3]]))
    wave = 325 * np.cos(phases)[np.newaxis]
    estimator.push(wave[:, :, :2000])
    assert estimator.report().quality[0] == Quality.GOOD
    look = estimator._tracker.look

    def blind(*arguments: object) -> object:
        return replace(look(*arguments), f_hz=np.array([np.nan]))

    monkeypatch.setattr(estimator._tracker, "look", blind)
    estimator.push(wave[:, :, 2000:2080])
    blinded = estimator.report()
    assert blinded.quality[0] != Quality.GOOD
    assert blinded.f_hz[0] == pytest.approx(50.0, abs=1e-3)
    estimator.push(np.full((1, 3, 80), np.nan))
    assert np.isfinite(estimator.report().f_hz).all()


def test_values_that_no_bus_carries_are_missing_and_overflow_nothing() -> None:
    settings = Settings(nominal_hz=50, samples_per_second=4000)
    samples = Waveform(f_hz=50.0).voltages(np.arange(4000) / 4000)[np.newaxis].astype(np.float32)
    samples[:, 0, 2000:2010] = 3e38
    samples[:, 1, 2500:2505] = -np.inf
    estimator = Estimator(settings)
    with np.errstate(all="raise", under="ignore"):
        for start in range(0, 4000, 80):
            estimator.push(samples[..., start : start + 80])
            estimates = estimator.report()
            assert np.abs(estimates.f_hz - 50).max() < 0.01
    assert estimates.quality[0] == Quality.GOOD


@pytest.mark.parametrize("nominal_hz", [50, 60])
def test_a_step_in_the_last_samples_of_a_window_is_no_frequency(nominal_hz: int) -> None:
    """The low-latency filter looks ahead: its newest samples weigh most."""
    settings = Settings(
        nominal_hz=nominal_hz,
        samples_per_second=4800,
        reports_per_second=nominal_hz,
        filter="low-latency",
    )
    newest_s = settings.newest_sample(nominal_hz) / 4800
    for samples in range(1, 13):
        step = Step(newest_s - (samples - 0.5) / 4800, (1.0, 0.7, 0.55), (-0.51, -0.4, -0.3))
        waveform = Waveform(f_hz=nominal_hz - 0.4, steps=(step,))
        settled = play(settings, [waveform], 1.5).between(0.5, 1.4)
        assert np.abs(settled.f_hz - waveform.f_hz).max() < 0.05, samples
