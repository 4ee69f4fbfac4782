//! Exact limits of a probability that was seen `events` times in `trials` (Clopper and Pearson), one-sided at 95 %.
//!
//! The upper limit is the probability under which so few events, or fewer, would be seen in 5 % of all experiments. It is
//! found by bisection on the binomial tail, whose terms are summed downwards from the largest.

/// Chance of being wrong about a limit.
const ALPHA: f64 = 0.05;
/// Halvings of the interval in which the limit lies: all that a double can hold, from the smallest number on.
const HALVINGS: usize = 1_100;
/// Terms of the tail below this part of the sum are left out.
const NEGLIGIBLE: f64 = 1e-17;

/// The probability is below this, 19 times out of 20. Without trials: 1.
#[must_use]
pub fn upper(events: u64, trials: u64) -> f64 {
    if events >= trials {
        return 1.0;
    }
    let (mut low, mut high) = (events as f64 / trials as f64, 1.0);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if ln_at_most(events, trials, middle) > ALPHA.ln() {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The probability is above this, 19 times out of 20. Without trials: 0.
#[must_use]
pub fn lower(events: u64, trials: u64) -> f64 {
    if trials == 0 { 0.0 } else { 1.0 - upper(trials - events.min(trials), trials) }
}

/// Logarithm of the probability of at most `events` in `trials`, at a `probability` above their ratio.
fn ln_at_most(events: u64, trials: u64, probability: f64) -> f64 {
    let (k, n) = (events as f64, trials as f64);
    let largest = ln_choose(n, k) + k * probability.ln() + (n - k) * (-probability).ln_1p();
    let odds = (1.0 - probability) / probability;
    let (mut term, mut sum, mut j) = (1.0, 1.0, k);
    while j > 0.0 && term > NEGLIGIBLE * sum {
        term *= j / (n - j + 1.0) * odds;
        sum += term;
        j -= 1.0;
    }
    largest + sum.ln()
}

fn ln_choose(n: f64, k: f64) -> f64 {
    if k == 0.0 { 0.0 } else { ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k) }
}

/// Stirling's series; small arguments are raised first.
fn ln_factorial(n: f64) -> f64 {
    let (mut x, mut raised) = (n + 1.0, 0.0);
    while x < 16.0 {
        raised += x.ln();
        x += 1.0;
    }
    let square = x * x;
    let series =
        (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1_260.0 - 1.0 / (1_680.0 * square)) / square) / square) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - raised
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-4, "{found}, not {expected}");
    }

    #[test]
    fn without_events_the_upper_limit_has_a_closed_form() {
        for trials in [1, 20, 1_000, 60_000, 20_000_000] {
            near(upper(0, trials), 1.0 - 0.05_f64.powf(1.0 / trials as f64));
        }
        // The figure of the text: 0 of 60,000 is at most 0.005 %.
        assert_eq!(format!("{:.3}", upper(0, 60_000) * 100.0), "0.005");
    }

    /// Quantiles of the beta distribution (events + 1, trials - events) at 95 %, from tables.
    #[test]
    fn limits_are_those_of_tables() {
        for (events, trials, expected) in
            [(1, 10, 0.394_163), (2, 10, 0.506_901), (5, 10, 0.777_559), (9, 10, 0.994_884)]
        {
            near(upper(events, trials), expected);
        }
        near(lower(5, 10), 1.0 - 0.777_559);
        near(lower(10, 10), 0.05_f64.powf(0.1));
    }

    #[test]
    fn many_events_are_near_the_normal_distribution() {
        let (events, trials) = (30_000_u64, 1_000_000);
        let share = 0.03;
        let expected = share + 1.645 * (share * (1.0 - share) / trials as f64).sqrt();
        assert!((upper(events, trials) / expected - 1.0).abs() < 1e-3);
    }

    #[test]
    fn the_ends_are_certain() {
        assert_eq!((upper(0, 0), lower(0, 0)), (1.0, 0.0));
        assert_eq!((upper(7, 7), lower(0, 7)), (1.0, 0.0));
    }
}
