"""Writes scipy.json: what SciPy and NumPy say about the formulas of this crate, on random inputs with a fixed seed.

Run it where `numpy` and `scipy` are installed: `python3 make_fixture.py > scipy.json`. Nothing in it is translated from the
crate: where a library has the statistic it is asked, and where it has not, another way to the same number is taken (the
roots of a polynomial for Fieller's bounds, a matrix product for the delta method, concatenation for merging).
"""

import json
import sys

import numpy as np
from scipy import stats

random = np.random.default_rng(20260101)


def moments_of(values):
    values = np.asarray(values, dtype=np.longdouble)
    mean = values.mean()
    return {"count": len(values), "mean": float(mean), "squares": float(((values - mean) ** 2).sum())}


def welch():
    cases = []
    for _ in range(20):
        before = random.lognormal(1.0, random.uniform(0.1, 1.5), int(random.integers(3, 120))).round(6)
        after = random.lognormal(random.uniform(0.5, 3.0), random.uniform(0.1, 1.5), int(random.integers(3, 120))).round(6)
        found = stats.ttest_ind(after, before, equal_var=False)
        cases.append({"before": before.tolist(), "after": after.tolist(),
                      "t": float(found.statistic), "freedom": float(found.df)})
    return cases


def merge():
    cases = []
    for _ in range(20):
        parts = [random.lognormal(random.uniform(-2, 5), random.uniform(0.1, 2), int(random.integers(1, 60)))
                 for _ in range(int(random.integers(2, 6)))]
        cases.append({"parts": [{"count": len(part), "mean": float(part.mean()), "stddev": float(part.std())}
                                for part in parts],
                      "merged": moments_of(np.concatenate(parts))})
    return cases


def reading(values):
    if len(values) == 0:
        return {"calls": 0, "total": 0.0, "mean": 0.0, "stddev": 0.0, "min": 0.0, "max": 0.0}
    return {"calls": len(values), "total": float(values.sum()), "mean": float(values.mean()),
            "stddev": float(values.std()), "min": float(values.min()), "max": float(values.max())}


def interval():
    cases = []
    for _ in range(20):
        history = random.lognormal(1.0, 0.7, int(random.integers(0, 300)))
        run = random.lognormal(random.uniform(0.5, 2.0), 0.7, int(random.integers(20, 200)))
        cases.append({"first": reading(history), "second": reading(np.concatenate([history, run])),
                      "mean": float(run.mean()), "variance": float(run.var(ddof=1)), "total": float(run.sum())})
    return cases


def lag_one(values):
    values = np.asarray(values)
    centred = values - values.mean()
    return float(np.correlate(centred[:-1], centred[1:])[0] / np.dot(centred, centred))


def lag_one_with_gaps(places, values):
    by_place = dict(zip(places, values))
    mean = np.mean(values)
    pairs = [(by_place[place] - mean, by_place[place + 1] - mean) for place in places if place + 1 in by_place]
    scale = len(values) / (len(pairs) + 1)
    return float(sum(a * b for a, b in pairs) / np.sum((values - mean) ** 2) * scale)


def spread(values):
    return max(1.4826 * stats.median_abs_deviation(values), 0.5 * np.std(values, ddof=1), 0.001)


def series():
    cases = []
    for _ in range(20):
        length = int(random.integers(5, 170))
        values = np.cumsum(random.normal(0, 0.1, length)) * random.uniform(0, 1) + random.standard_t(3, length) * 0.2
        values = values.round(6)
        places = np.sort(random.choice(length * 2, length, replace=False))
        cases.append({"values": values.tolist(),
                      "median": float(np.median(values)),
                      "mad": float(stats.median_abs_deviation(values)),
                      "tenth": float(np.quantile(values, 0.1)),
                      "nine_tenths": float(np.quantile(values, 0.9)),
                      "other": float(np.quantile(values, 0.37)),
                      "deviation": float(np.std(values, ddof=1)),
                      "spread": float(spread(values)),
                      "autocorrelation": lag_one(values),
                      "places": places.tolist(),
                      "autocorrelation_with_gaps": lag_one_with_gaps(places.tolist(), values)})
    return cases


def inflation(rho):
    rho = min(max(rho, 0.0), 0.95)
    return (1 + rho) / (1 - rho)


def block_mean():
    cases = []
    for _ in range(20):
        length = int(random.integers(4, 100))
        calls = random.integers(5, 1000, length).astype(float)
        level = np.exp(np.cumsum(random.normal(0, 0.1, length)))
        totals = calls * level * random.lognormal(0, 0.2, length)
        mean = totals.sum() / calls.sum()
        rho = min(max(lag_one(totals / calls), 0.0), 0.95)
        residuals = totals - mean * calls
        variance = length / (length - 1) * np.dot(residuals, residuals) / calls.sum() ** 2 * inflation(rho)
        cases.append({"calls": calls.tolist(), "totals": totals.tolist(), "mean": float(mean),
                      "variance": float(variance), "autocorrelation": rho,
                      "effective": float(max(2.0, length / inflation(rho)))})
    return cases


def fieller(m1, v1, m2, v2, z):
    """The ratios R at which m2 - R*m1 is exactly z of its standard errors."""
    roots = np.roots([m1 * m1 - z * z * v1, -2 * m1 * m2, m2 * m2 - z * z * v2])
    return sorted(float(root) for root in roots.real)


def ratio():
    cases = []
    for _ in range(20):
        m1, m2 = random.uniform(1, 100, 2)
        v1, v2 = (m1 * random.uniform(0.01, 0.2)) ** 2, (m2 * random.uniform(0.01, 0.2)) ** 2
        z = random.uniform(2, 4)
        gradient = np.array([-1 / m1, 1 / m2])
        error = np.sqrt(gradient @ np.diag([v1, v2]) @ gradient)
        step, step_error, calls = random.uniform(-1, 2), random.uniform(0.01, 0.4), random.uniform(10, 1e6)
        low = np.exp(step - z * step_error)
        cases.append({"m1": m1, "v1": v1, "m2": m2, "v2": v2, "z": z,
                      "delta": [float(m2 / m1 / np.exp(z * error)), float(m2 / m1 * np.exp(z * error))],
                      "fieller": fieller(m1, v1, m2, v2, z),
                      "step": step, "step_error": step_error,
                      "robust": [float(low), float(np.exp(step + z * step_error))],
                      "calls": calls, "lost_low": float((m2 - m2 / low) * calls)})
    return cases


def load(length, hours):
    noise = np.zeros(length)
    for i in range(1, length):
        noise[i] = 0.7 * noise[i - 1] + random.normal(0, 0.05)
    return (noise + 0.3 * np.sin(hours / 24 * 2 * np.pi)).round(6)


def comparison():
    """The whole comparison of a week with some hours after: medians by hour of day, control, errors, bounds, t."""
    cases = []
    for _ in range(10):
        week, since = 168, int(random.integers(6, 40))
        hours = np.arange(-week, since)
        calls = random.integers(40, 400, len(hours)).astype(float)
        step = np.where(hours >= 0, random.uniform(1.5, 6), 1.0)
        control = load(len(hours), hours)
        runs = [random.lognormal(0, 0.6, int(count)) * 8 * factor * np.exp(shared + random.normal(0, 0.05))
                for count, factor, shared in zip(calls, step, control)]
        per_call = np.array([np.log(run.mean()) for run in runs]) - control
        usual = {hour: np.median(per_call[(hours < 0) & (hours % 24 == hour)]) for hour in range(24)}
        distance = per_call - np.array([usual[hour] for hour in hours % 24])
        seen = set((hours[hours >= 0] % 24).tolist())
        same = np.array([hour < 0 and hour % 24 in seen for hour in hours])
        before, after = distance[same], distance[hours >= 0]
        rho_1 = min(max(lag_one(distance[hours < 0]), 0.0), 0.95)
        rho_2 = min(max(lag_one(after), rho_1), 0.95)
        effective_1 = max(2.0, len(before) / inflation(rho_1))
        effective_2 = max(2.0, len(after) / inflation(rho_2))
        freedom = len(before) / (len(before) - len(seen))
        found = np.median(after) - np.median(before)
        error = 1.2533 * np.sqrt(spread(before) ** 2 * freedom / effective_1 + spread(after) ** 2 / effective_2)
        welch_t = stats.ttest_ind(np.concatenate([run for run, hour in zip(runs, hours) if hour >= 0]),
                                  np.concatenate([run for run, is_same in zip(runs, same) if is_same]),
                                  equal_var=False)
        cases.append({"hours": hours.tolist(), "control": control.tolist(),
                      "blocks": [moments_of(run) for run in runs],
                      "log_step": float(found), "error": float(error), "block_t": float(found / error),
                      "low": float(np.exp(found - 3 * error)), "high": float(np.exp(found + 3 * error)),
                      "autocorrelation": [rho_1, rho_2], "effective": [float(effective_1), float(effective_2)],
                      "tenths": [float(np.exp(np.quantile(before, 0.9))), float(np.exp(np.quantile(after, 0.1)))],
                      "t": float(welch_t.statistic), "freedom": float(welch_t.df)})
    return cases


json.dump({"numpy": np.__version__, "scipy": __import__("scipy").__version__, "welch": welch(), "merge": merge(),
           "interval": interval(), "series": series(), "block_mean": block_mean(), "ratio": ratio(),
           "comparison": comparison()}, sys.stdout, indent=None, separators=(",", ":"))
print()
