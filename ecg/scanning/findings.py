"""What a scan found, and what speaks against it, in plain sentences."""

import numpy as np

from ecg.recordings.reading.lead import duration_text
from ecg.recordings.signals import unusable_seconds
from ecg.scanning.display import format_time
from ecg.scanning.episodes import BIGEMINY, CHANGE, RUN
from ecg.scanning.kinds import NOISE, OTHER
from ecg.scanning.records import Scan

MOSTLY = 0.5  # share of the alarms that most of them are of a kind from
RUN_NAMED = 5  # beats of the longest run, from which on it is in the finding


def finding(scan: Scan) -> str:
    """What was found, in one or two sentences."""
    beats, alarms, kinds = len(scan.beats), int(scan.beats["anomalous"].sum()), scan.kinds
    where = f"{duration_text(scan.recording.duration)} of lead {scan.recording.lead}"
    if not alarms:
        return f"None of {beats:,} beats in {where} raises an alarm." + _changed(scan)
    share = alarms / beats
    text = f"{alarms:,} of {beats:,} beats ({_percent(share)}) in {where} raise{'s' if alarms == 1 else ''} an alarm"
    if scan.alpha is not None and share <= scan.alpha:
        text += f", fewer than the {scan.alpha:.0%} that a normal heart may raise"
    first = kinds.iloc[0]
    if first["kind"] == NOISE:
        text += ", all of them in noise" if len(kinds) == 1 else ", mostly in noise"
    elif first["kind"] == OTHER:
        text += ", few of them alike" if alarms > 1 else f": {scan.alarms['why'].iloc[0]}"
    else:
        most = "mostly" if first["share"] > MOSTLY else "most often"
        text += f"; {most} {first['why']} ({first['alarms']:,}, kind {first['kind']})"
    return f"{text}." + _runs(scan) + _changed(scan)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _runs(scan: Scan) -> str:
    runs = scan.episodes[scan.episodes["type"] == RUN]
    bigeminy = scan.episodes[scan.episodes["type"] == BIGEMINY]
    parts = []
    if len(runs) and (longest := runs.loc[runs["alarms"].idxmax()])["alarms"] >= RUN_NAMED:
        rate = f" at {longest['heart_rate']:.0f} per minute" if np.isfinite(longest["heart_rate"]) else ""
        parts.append(f"the longest run has {longest['alarms']:,} beats{rate}, at {longest['time']}")
    if len(bigeminy):
        longest = bigeminy.loc[bigeminy["alarms"].idxmax()]
        parts.append(f"{len(bigeminy):,} stretches of bigeminy, the longest at {longest['time']}")
    text = "; ".join(parts)
    return f" {text[0].upper()}{text[1:]}." if text else ""


def _changed(scan: Scan) -> str:
    lasting = [change for change in scan.changes if change.lasts]
    if lasting:
        return f" From {format_time(lasting[-1].start)} on, the heart beats unlike at the start."
    changes = scan.episodes[scan.episodes["type"] == CHANGE]
    if not len(changes):
        return ""
    minutes = (changes["stop"] - changes["start"]).sum() / 60
    return f" For {minutes:.0f} minutes, from {changes.iloc[0]['time']}, the heart beats unlike at the start."


def comparison(scan: Scan) -> str:
    """How many alarms there are if verdicts follow slow change, and if nothing does."""
    alarms, from_start = (int(scan.beats[name].sum()) for name in ("anomalous", "anomalous_from_start"))
    how = "follow slow change" if scan.adaptive else "compare with the recording's start"
    return (
        f"{alarms:,} alarms when verdicts {how}; {from_start:,} when nothing follows slow change since the start. A "
        "large difference means that the heart, or the electrode, has changed."
    )


def doubts(scan: Scan) -> list[str]:
    """What speaks against the result, beside the scan's warnings: a sentence each."""
    sentences, beats, alarms = list[str](), len(scan.beats), int(scan.beats["anomalous"].sum())
    if scan.alpha is not None:
        sentences.append(
            f"Up to {scan.alpha:.0%} of a normal heart's beats may raise an alarm, here {scan.alpha * beats:,.0f} of "
            f"{beats:,}: as a mean over patients. It has been less for most, and more than twice as much for some."
        )
    in_noise = int((scan.beats["kind"] == NOISE).sum())
    if in_noise:
        sentences.append(
            f"{in_noise:,} of {alarms:,} alarms are set aside: the signal around them is noisy, or they are of a shape "
            "that noise makes. Some may be real."
        )
    lost = {kind: seconds for kind, seconds in unusable_seconds(scan.unusable).items() if seconds}
    if lost:
        listed = ", ".join(f"{duration_text(seconds)} {kind}" for kind, seconds in lost.items())
        sentences.append(f"Signal that was not judged: {listed}.")
    left_out = scan.left_out
    if left_out.in_unusable_signal or left_out.at_the_ends:
        sentences.append(
            f"Beats that were not judged: {left_out.in_unusable_signal:,} in or next to unusable signal, "
            f"{left_out.at_the_ends:,} at the ends."
        )
    sentences.append(
        "It judges one lead, and compares this heart with its own usual beats: what is abnormal from the first to the "
        "last beat raises no alarm. Of premature atrial beats, those that are hardly early are missed."
    )
    return sentences
