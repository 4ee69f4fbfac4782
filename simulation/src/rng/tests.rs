use super::*;

/// Numbers drawn per distribution.
const DRAWS: usize = 100_000;

fn moments(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut count, mut sum, mut square) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        sum += value;
        square += value * value;
    }
    let mean = sum / count;
    (mean, square / count - mean * mean)
}

fn near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} is not {expected} ± {tolerance}");
}

#[test]
fn a_stream_depends_on_seed_number_and_purpose() {
    let first = |seed, number, stream| Rng::new(seed, number, stream).bits();
    assert_eq!(first(1, 2, Stream::Series), first(1, 2, Stream::Series));
    assert_ne!(first(1, 2, Stream::Series), first(2, 2, Stream::Series));
    assert_ne!(first(1, 2, Stream::Series), first(1, 3, Stream::Series));
    assert_ne!(first(1, 2, Stream::Series), first(1, 2, Stream::Events));
    // A generator that mixed seed and number by addition would give these two the same stream.
    assert_ne!(first(1, 2, Stream::Series), first(2, 1, Stream::Series));
}

#[test]
fn uniform_numbers_have_their_moments() {
    let mut rng = Rng::new(7, 1, Stream::Series);
    let (mean, variance) = moments((0..DRAWS).map(|_| rng.uniform()));
    near(mean, 0.5, 0.005);
    near(variance, 1.0 / 12.0, 0.002);
}

#[test]
fn normal_numbers_have_their_moments() {
    let mut rng = Rng::new(7, 2, Stream::Series);
    let (mean, variance) = moments((0..DRAWS).map(|_| rng.normal()));
    near(mean, 0.0, 0.015);
    near(variance, 1.0, 0.02);
}

#[test]
fn counts_have_mean_and_variance_of_poisson() {
    for expected in [0.3, 17.0, 400.0] {
        let mut rng = Rng::new(7, 3, Stream::Series);
        let (mean, variance) = moments((0..DRAWS).map(|_| rng.count(expected) as f64));
        near(mean / expected, 1.0, 0.02);
        near(variance / expected, 1.0, 0.05);
    }
}

#[test]
fn shares_have_mean_and_bounds_of_binomial() {
    for (of, probability) in [(10, 0.3), (5_000, 0.001), (5_000, 0.999), (100_000, 0.4)] {
        let mut rng = Rng::new(7, 4, Stream::Series);
        let draws: Vec<u64> = (0..20_000).map(|_| rng.share(of, probability)).collect();
        assert!(draws.iter().all(|count| *count <= of));
        let (mean, _) = moments(draws.iter().map(|count| *count as f64));
        near(mean / (of as f64 * probability), 1.0, 0.03);
    }
}
