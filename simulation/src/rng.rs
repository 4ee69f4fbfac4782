//! Random numbers that depend on nothing but a seed, a number and what they are for.
//!
//! Each history has streams of its own, one per [`Stream`]: whatever is drawn more or less in one of them moves nothing
//! in the others, so that a true regression and a neutral flip of the same number are the same statement under the same
//! load. The generator is xoshiro256++ (Blackman and Vigna), its state filled by splitmix64.

/// What numbers are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// What the statement is like.
    Statement = 1,
    /// What happens to it and to its server.
    Events = 2,
    /// What happens because of its class.
    Class = 3,
    /// The regression, if there is one.
    Regression = 4,
    /// Load, mixture and calls over time.
    Series = 5,
    /// Single executions.
    Executions = 6,
    /// Other statements, and sampled sessions.
    Surroundings = 7,
    /// Where a flip is put into a recorded history.
    Placebo = 8,
    /// When a repair without effect is made.
    Repair = 9,
    /// What is reported of the plans of a statement.
    Plans = 10,
    /// Tables, and when they are analysed.
    Tables = 11,
    /// Calls and time-outs of a statement by the hour.
    TimeOuts = 12,
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
    spare: Option<f64>,
}

/// Increment of splitmix64: 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// 2^-53: the resolution of a uniform number.
const RESOLUTION: f64 = 1.0 / 9_007_199_254_740_992.0;
/// Expected counts from which a normal distribution stands for Poisson's.
const NORMAL_FROM: f64 = 30.0;

fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

// === impl Rng ===

impl Rng {
    /// The numbers of one stream of history `number` under `seed`.
    #[must_use]
    pub fn new(seed: u64, number: u64, stream: Stream) -> Self {
        let mut key = mixed(seed.wrapping_add(GOLDEN));
        // Step by step, so that exchanging seed and number gives other numbers.
        key = mixed(key.wrapping_add(number.wrapping_mul(GOLDEN)));
        key = mixed(key.wrapping_add((stream as u64).wrapping_mul(GOLDEN)));
        let mut next = || {
            key = key.wrapping_add(GOLDEN);
            mixed(key)
        };
        Self { state: [next(), next(), next(), next()], spare: None }
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let c1 = c ^ a;
        let d1 = d ^ b;
        self.state = [a ^ d1, b ^ c1, c1 ^ (b << 17), d1.rotate_left(45)];
        result
    }

    /// Uniform in [0, 1).
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * RESOLUTION
    }

    /// Uniform between two numbers.
    pub fn between(&mut self, (low, high): (f64, f64)) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Between two positive numbers, its logarithm uniform.
    pub fn log_between(&mut self, (low, high): (f64, f64)) -> f64 {
        self.between((low.ln(), high.ln())).exp()
    }

    /// A whole number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        ((self.uniform() * end as f64) as u64).min(end.saturating_sub(1))
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// Standard normal (Marsaglia's polar method).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let x = 2.0 * self.uniform() - 1.0;
            let y = 2.0 * self.uniform() - 1.0;
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let scale = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(y * scale);
                return x * scale;
            }
        }
    }

    /// A count around `expected`: Poisson's distribution, rounded normal where it is wide.
    pub fn count(&mut self, expected: f64) -> u64 {
        if expected <= 0.0 {
            return 0;
        }
        if expected >= NORMAL_FROM {
            return (expected + expected.sqrt() * self.normal()).round().max(0.0) as u64;
        }
        let limit = (-expected).exp();
        let mut product = self.uniform();
        let mut count = 0;
        while product > limit {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// How many of `of` have a property that each has with `probability`.
    pub fn share(&mut self, of: u64, probability: f64) -> u64 {
        let expected = of as f64 * probability;
        let variance = expected * (1.0 - probability);
        if variance >= NORMAL_FROM {
            return ((expected + variance.sqrt() * self.normal()).round().max(0.0) as u64).min(of);
        }
        if of <= NORMAL_FROM as u64 {
            return (0..of).filter(|_| self.chance(probability)).count() as u64;
        }
        // Rare one way or the other: Poisson's distribution is close.
        if probability <= 0.5 {
            self.count(expected).min(of)
        } else {
            of - self.count(of as f64 - expected).min(of)
        }
    }
}

#[cfg(test)]
mod tests;
