//! Statistics of a series of blocks that one wild execution cannot move: medians, quantiles, spreads, autocorrelation.

/// A median absolute deviation times this is the standard deviation of a normal distribution.
pub const MAD_TO_DEVIATION: f64 = 1.4826;

/// The standard error of a median is this many times that of a mean, for a normal distribution: `√(π/2)`.
pub const MEDIAN_ERROR: f64 = 1.2533;

/// The spread of a series is at least this share of its plain standard deviation.
const DEVIATION_SHARE: f64 = 0.5;

/// The spread of a series of logarithms is at least this: a tenth of a percent.
const SPREAD_MIN: f64 = 0.001;

/// Autocorrelation is taken to be at most this, so that a trend does not make the evidence vanish altogether.
pub const AUTOCORRELATION_MAX: f64 = 0.95;

/// Blocks count as at least this many.
const EFFECTIVE_MIN: f64 = 2.0;

/// Sums of one block: calls and time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sums {
    /// Executions.
    pub calls: f64,
    /// Their time.
    pub total: f64,
}

/// A mean over blocks whose error comes from the differences between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockMean {
    /// `ΣS / ΣN`.
    pub mean: f64,
    /// Its variance, with autocorrelation in it.
    pub variance: f64,
    /// Autocorrelation of neighbouring blocks, between 0 and [`AUTOCORRELATION_MAX`].
    pub autocorrelation: f64,
    /// How many independent blocks they are worth.
    pub effective: f64,
}

/// Sorts numbers that are all finite.
pub fn sort(values: &mut [f64]) {
    values.sort_unstable_by(f64::total_cmp);
}

/// The quantile of sorted values at `share`, between neighbours in proportion (Hyndman and Fan's type 7).
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * last as f64;
    let below = (place.floor() as usize).min(last);
    let low = *sorted.get(below)?;
    let high = *sorted.get((below + 1).min(last))?;
    Some(low + (high - low) * (place - below as f64))
}

/// The median of sorted values.
#[must_use]
pub fn median(sorted: &[f64]) -> Option<f64> {
    quantile(sorted, 0.5)
}

/// The median of the distances from `centre`; `scratch` is overwritten.
#[must_use]
pub fn median_absolute_deviation(values: &[f64], centre: f64, scratch: &mut Vec<f64>) -> Option<f64> {
    scratch.clear();
    scratch.extend(values.iter().map(|value| (value - centre).abs()));
    sort(scratch);
    median(scratch)
}

/// The standard deviation of a sample.
#[must_use]
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    Some((squares / (count - 1.0)).sqrt())
}

/// The spread of a series: `max(1.4826·MAD, 0.5·deviation, 0.001)`.
///
/// The median absolute deviation alone is blind to a series that is mostly constant with a few steps in it; the plain
/// deviation keeps it honest.
#[must_use]
pub fn spread(values: &[f64], centre: f64, scratch: &mut Vec<f64>) -> f64 {
    let robust = median_absolute_deviation(values, centre, scratch).unwrap_or(0.0) * MAD_TO_DEVIATION;
    let plain = standard_deviation(values).unwrap_or(0.0) * DEVIATION_SHARE;
    robust.max(plain).max(SPREAD_MIN)
}

/// Autocorrelation of neighbours, each given with its place; values whose places are not neighbours make no pair.
///
/// `Σ(xₜ−x̄)(xₜ₊₁−x̄) / Σ(xₜ−x̄)²`, scaled by `n / (pairs+1)` where pairs are missing. `None` below three values or without
/// any pair.
#[must_use]
pub fn autocorrelation(series: &[(i64, f64)]) -> Option<f64> {
    if series.len() < 3 {
        return None;
    }
    let count = series.len() as f64;
    let mean = series.iter().map(|(_, value)| value).sum::<f64>() / count;
    let squares = series.iter().map(|(_, value)| (value - mean) * (value - mean)).sum::<f64>();
    let (mut products, mut pairs) = (0.0, 0.0);
    for ((place, value), (next_place, next_value)) in series.iter().zip(series.iter().skip(1)) {
        if place.checked_add(1) == Some(*next_place) {
            products += (value - mean) * (next_value - mean);
            pairs += 1.0;
        }
    }
    let found = products / squares * (count / (pairs + 1.0));
    (pairs > 0.0 && found.is_finite()).then_some(found)
}

/// How many independent blocks `count` correlated ones are worth: `max(2, B(1−ρ)/(1+ρ))`.
#[must_use]
pub fn effective(count: f64, autocorrelation: f64) -> f64 {
    let rho = autocorrelation.clamp(0.0, AUTOCORRELATION_MAX);
    (count * (1.0 - rho) / (1.0 + rho)).max(EFFECTIVE_MIN)
}

/// The standard error of the difference of two medians: `1.2533 · √(s₁²/B₁ + s₂²/B₂)`.
#[must_use]
pub fn median_step_error(before: (f64, f64), after: (f64, f64)) -> f64 {
    let part = |(spread, effective): (f64, f64)| spread * spread / effective;
    MEDIAN_ERROR * (part(before) + part(after)).sqrt()
}

/// Mean over blocks, with the error that the blocks themselves show.
///
/// `V(m) = B/(B−1) · Σ(S−mN)² / (ΣN)² · (1+ρ)/(1−ρ)`: noise within blocks, swings of load and of the mix of parameters are
/// all in it. Blocks are given with their place in time.
#[must_use]
pub fn block_mean(blocks: &[(i64, Sums)]) -> Option<BlockMean> {
    if blocks.len() < 2 {
        return None;
    }
    let count = blocks.len() as f64;
    let calls = blocks.iter().map(|(_, sums)| sums.calls).sum::<f64>();
    let mean = blocks.iter().map(|(_, sums)| sums.total).sum::<f64>() / calls;
    let residual = |sums: &Sums| sums.total - mean * sums.calls;
    let squares = blocks.iter().map(|(_, sums)| residual(sums) * residual(sums)).sum::<f64>();
    let means: Vec<(i64, f64)> =
        blocks.iter().map(|(place, sums)| (*place, sums.total / sums.calls - mean)).collect();
    let rho = autocorrelation(&means).unwrap_or(0.0).clamp(0.0, AUTOCORRELATION_MAX);
    let variance = count / (count - 1.0) * squares / (calls * calls) * (1.0 + rho) / (1.0 - rho);
    let sound = mean.is_finite() && variance.is_finite();
    sound.then(|| BlockMean { mean, variance, autocorrelation: rho, effective: effective(count, rho) })
}

#[cfg(test)]
mod tests;
