//! Bounds of the ratio of two means, and the time lost per day that follows from them.

/// A ratio and its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Lower bound.
    pub low: f64,
    /// The estimate itself.
    pub estimate: f64,
    /// Upper bound; infinite where there is none.
    pub high: f64,
}

/// A mean with the variance of the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// The variance of the mean.
    pub variance: f64,
}

/// Bounds by the delta method: `R · exp(∓z · √(V₁/m₁² + V₂/m₂²))`.
#[must_use]
pub fn delta(before: Mean, after: Mean, z: f64) -> Option<Bounds> {
    let estimate = positive(after.mean / before.mean)?;
    let relative_1 = before.variance / (before.mean * before.mean);
    let relative_2 = after.variance / (after.mean * after.mean);
    let reach = finite(z * (relative_1 + relative_2).sqrt())?;
    Some(Bounds { low: estimate * (-reach).exp(), estimate, high: estimate * reach.exp() })
}

/// Bounds by Fieller's theorem (E. C. Fieller, *Some problems in interval estimation*, 1954).
///
/// With `g = z²V₁/m₁²`: `(R ∓ (z/m₁) · √(V₂(1−g) + R²V₁)) / (1−g)`. Where `g ≥ 1` the mean before cannot be told from zero
/// and there is no bound.
#[must_use]
pub fn fieller(before: Mean, after: Mean, z: f64) -> Option<Bounds> {
    let estimate = positive(after.mean / before.mean)?;
    let g = finite(z * z * before.variance / (before.mean * before.mean))?;
    if g >= 1.0 {
        return None;
    }
    let inner = after.variance * (1.0 - g) + estimate * estimate * before.variance;
    let reach = finite(z / before.mean * inner.sqrt())?;
    let bound = |sign: f64| (estimate + sign * reach) / (1.0 - g);
    Some(Bounds { low: bound(-1.0), estimate, high: bound(1.0) })
}

/// Bounds from a step of logarithms and its standard error: `exp(L ∓ z·se)`.
#[must_use]
pub fn robust(log_step: f64, standard_error: f64, z: f64) -> Option<Bounds> {
    let reach = finite(z * standard_error)?;
    let estimate = finite(log_step)?.exp();
    Some(Bounds { low: (log_step - reach).exp(), estimate, high: (log_step + reach).exp() })
}

/// Time lost per day: `(1 − 1/R) · slower mean · calls per day`, for each bound of the ratio.
#[must_use]
pub fn lost_per_day(ratio: &Bounds, slower_mean: f64, calls_per_day: f64) -> Bounds {
    let lost = |ratio: f64| (1.0 - 1.0 / ratio) * slower_mean * calls_per_day;
    Bounds { low: lost(ratio.low), estimate: lost(ratio.estimate), high: lost(ratio.high) }
}

fn positive(value: f64) -> Option<f64> {
    (value.is_finite() && value > 0.0).then_some(value)
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests;
