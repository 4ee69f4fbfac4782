//! How much one execution differs from the mean of its kind, in time and in blocks touched.
//!
//! An execution takes `x` times the mean time and touches `x^k` times the mean number of blocks (before normalisation):
//! some of what makes an execution long is work, the rest is not. Both have mean 1.
//!
//! A hundred million draws must not take a hundred million logarithms: the distribution is cut into [`STRATA`] strata of
//! equal probability, within which its quantiles are interpolated. The outermost ones, where that would be wrong and where
//! tails live, are computed exactly.

use std::sync::LazyLock;

/// Strata of the distribution.
const STRATA: usize = 1_024;
/// Strata from this one on are computed: the slowest 1.6 %.
const EXACT_FROM: usize = STRATA - 16;
/// Bits of a number that say which stratum.
const STRATUM_BITS: u32 = STRATA.trailing_zeros();
/// Bits that say where in it.
const PLACE_BITS: u32 = u32::BITS - STRATUM_BITS;

/// Standard normal quantiles at the borders of the strata; the two infinite ones are those of half a stratum.
static NORMAL_BORDERS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let border = |number: usize| (number as f64).clamp(0.5, STRATA as f64 - 0.5) / STRATA as f64;
    (0..=STRATA).map(|number| normal_quantile(border(number))).collect()
});

/// The distribution of an execution's time, by its shape alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    /// The logarithm is normal with this standard deviation.
    Lognormal {
        /// The standard deviation.
        sigma: f64,
    },
    /// Pareto with this index; at 2 and below its variance is infinite.
    Pareto {
        /// The index.
        index: f64,
    },
}

/// A distribution, prepared for drawing.
#[derive(Clone, Debug)]
pub struct Table {
    noise: Noise,
    work: f64,
    work_ln_mean: f64,
    strata: Vec<Stratum>,
}

/// Quantiles at the lower border of a stratum, and how much they rise within it.
#[derive(Clone, Copy, Debug, Default)]
struct Stratum {
    time: f32,
    time_rise: f32,
    work: f32,
    work_rise: f32,
}

// === impl Noise ===

impl Noise {
    /// Natural logarithm of the quantile at `u`, of the distribution with mean 1.
    fn ln_quantile(&self, u: f64) -> f64 {
        match self {
            Self::Lognormal { .. } => self.ln_at_normal(normal_quantile(u)),
            Self::Pareto { index } => -(-u).ln_1p() / index - (index / (index - 1.0)).ln(),
        }
    }

    fn ln_at_normal(&self, z: f64) -> f64 {
        match self {
            Self::Lognormal { sigma } => sigma * z - 0.5 * sigma * sigma,
            Self::Pareto { .. } => 0.0,
        }
    }

    fn ln_border(&self, number: usize) -> f64 {
        match self {
            Self::Lognormal { .. } => {
                self.ln_at_normal(NORMAL_BORDERS.get(number).copied().unwrap_or_default())
            }
            Self::Pareto { .. } => self.ln_quantile((number as f64).min(STRATA as f64 - 0.5) / STRATA as f64),
        }
    }

    /// Natural logarithm of the mean of the distribution to a power.
    fn ln_mean_of_power(&self, power: f64) -> f64 {
        match self {
            Self::Lognormal { sigma } => 0.5 * sigma * sigma * power * (power - 1.0),
            Self::Pareto { index } => (index / (index - power)).ln() - power * (index / (index - 1.0)).ln(),
        }
    }

    /// Coefficient of variation; `None` if it is infinite.
    #[must_use]
    pub fn variation(&self) -> Option<f64> {
        match self {
            Self::Lognormal { sigma } => Some(((sigma * sigma).exp() - 1.0).sqrt()),
            Self::Pareto { index } => (*index > 2.0).then(|| 1.0 / (index * (index - 2.0)).sqrt()),
        }
    }
}

// === impl Table ===

impl Table {
    /// Prepares `noise`; blocks touched follow the time to the power `work`.
    #[must_use]
    pub fn new(noise: Noise, work: f64) -> Self {
        let work_ln_mean = noise.ln_mean_of_power(work);
        let border = |number| {
            let ln = noise.ln_border(number);
            (ln.exp(), (work * ln - work_ln_mean).exp())
        };
        let mut lower = border(0);
        let strata = (1..=STRATA)
            .map(|number| {
                let upper = border(number);
                let stratum = Stratum {
                    time: lower.0 as f32,
                    time_rise: (upper.0 - lower.0) as f32,
                    work: lower.1 as f32,
                    work_rise: (upper.1 - lower.1) as f32,
                };
                lower = upper;
                stratum
            })
            .collect();
        Self { noise, work, work_ln_mean, strata }
    }

    /// Time and work of one execution, from 32 random bits.
    #[inline]
    #[must_use]
    pub fn draw(&self, bits: u32) -> (f64, f64) {
        let number = (bits >> PLACE_BITS) as usize;
        if number == 0 || number >= EXACT_FROM {
            return self.exact(bits);
        }
        let place = (bits & ((1 << PLACE_BITS) - 1)) as f32 / (1_u32 << PLACE_BITS) as f32;
        let stratum = self.strata.get(number).copied().unwrap_or_default();
        (
            f64::from(stratum.time + stratum.time_rise * place),
            f64::from(stratum.work + stratum.work_rise * place),
        )
    }

    #[cold]
    fn exact(&self, bits: u32) -> (f64, f64) {
        let ln = self.noise.ln_quantile((f64::from(bits) + 0.5) / 4_294_967_296.0);
        (ln.exp(), (self.work * ln - self.work_ln_mean).exp())
    }
}

/// Standard normal quantile, by a rational start and one Newton step of third order; the distribution function comes from
/// a continued fraction or a series, whichever is short.
fn normal_quantile(u: f64) -> f64 {
    let tail = u.min(1.0 - u).max(1e-300);
    let t = (-2.0 * tail.ln()).sqrt();
    // Abramowitz and Stegun 26.2.23: within 4.5e-4.
    let start = t
        - (2.515_517 + t * (0.802_853 + t * 0.010_328))
            / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    let density = (-0.5 * start * start).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let error = (upper_tail(start) - tail) / density;
    let z = start + error / (1.0 - 0.5 * start * error);
    if u < 0.5 { -z } else { z }
}

/// Probability that a standard normal number exceeds `z` ≥ 0.
fn upper_tail(z: f64) -> f64 {
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z > 3.0 {
        let fraction = (1..=60).rev().fold(z, |fraction, step| z + f64::from(step) / fraction);
        return density / fraction;
    }
    let (mut term, mut sum) = (z, z);
    for step in 1..60 {
        term *= z * z / f64::from(2 * step + 1);
        sum += term;
    }
    0.5 - density * sum
}

#[cfg(test)]
mod tests;
