//! Welch's t: how many standard errors lie between two means.
//!
//! Source: B. L. Welch, *The generalization of Student's problem when several different population variances are involved*
//! (1947). `t` grows with the square root of the number of executions, so it says how much was seen, not how much it
//! matters; here it is a ceiling that other questions lower.

use crate::moments::Moments;

/// Beyond this, t is this. It keeps a deviation of zero from becoming an infinity that no format can carry.
const T_MAX: f64 = 1e12;

/// A mean and the variance of that mean, with the degrees of freedom the variance has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanError {
    /// The mean.
    pub mean: f64,
    /// The variance of the mean: `v / n`, or that of block means.
    pub variance: f64,
    /// Degrees of freedom of that variance.
    pub freedom: f64,
}

/// Welch's t with its degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Welch {
    /// `(m₂ − m₁) / √(v₁/n₁ + v₂/n₂)`.
    pub t: f64,
    /// `(v₁/n₁ + v₂/n₂)² / ((v₁/n₁)²/(n₁−1) + (v₂/n₂)²/(n₂−1))`.
    pub freedom: f64,
}

/// Welch's t of two means.
#[must_use]
pub fn welch(before: &MeanError, after: &MeanError) -> Option<Welch> {
    let together = before.variance + after.variance;
    let difference = after.mean - before.mean;
    if !(together.is_finite() && difference.is_finite()) || together < 0.0 {
        return None;
    }
    if difference == 0.0 {
        return Some(Welch { t: 0.0, freedom: degrees_of_freedom(before, after) });
    }
    let t = (difference / together.sqrt()).clamp(-T_MAX, T_MAX);
    Some(Welch { t, freedom: degrees_of_freedom(before, after) })
}

fn degrees_of_freedom(before: &MeanError, after: &MeanError) -> f64 {
    let together = before.variance + after.variance;
    // As shares, so that no square of a tiny variance becomes zero.
    let (share_1, share_2) = (before.variance / together, after.variance / together);
    let freedom = 1.0 / (share_1 * share_1 / before.freedom + share_2 * share_2 / after.freedom);
    if freedom.is_finite() { freedom } else { before.freedom.min(after.freedom) }
}

// === impl MeanError ===

impl MeanError {
    /// From the moments of executions, where their variance is known.
    #[must_use]
    pub fn of_executions(moments: &Moments) -> Option<Self> {
        let variance = moments.variance()? / moments.count;
        Some(Self { mean: moments.mean, variance, freedom: moments.count - 1.0 })
    }
}

#[cfg(test)]
mod tests;
