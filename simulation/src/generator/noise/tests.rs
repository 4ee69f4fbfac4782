use super::*;
use crate::rng::{Rng, Stream};

/// Draws per distribution.
const DRAWS: usize = 400_000;

#[test]
fn normal_quantiles_are_those_of_tables() {
    for (u, z) in [
        (0.5, 0.0),
        (0.975, 1.959_963_985),
        (0.001, -3.090_232_306),
        (1e-9, -5.997_807_015),
        (0.9, 1.281_551_566),
    ] {
        let found = normal_quantile(u);
        assert!((found - z).abs() < 1e-7, "{u}: {found}");
    }
}

/// Mean of time and of work, and the coefficient of variation of time.
fn moments(noise: Noise, work: f64) -> (f64, f64, f64) {
    let table = Table::new(noise, work);
    let mut rng = Rng::new(3, 1, Stream::Executions);
    let (mut sum, mut square, mut works) = (0.0, 0.0, 0.0);
    for _ in 0..DRAWS {
        let (time, work) = table.draw(rng.bits() as u32);
        sum += time;
        square += time * time;
        works += work;
    }
    let count = DRAWS as f64;
    let mean = sum / count;
    (mean, works / count, (square / count - mean * mean).sqrt() / mean)
}

#[test]
fn noise_has_the_mean_and_the_spread_of_its_formula() {
    for (noise, tolerance) in [
        (Noise::Lognormal { sigma: 0.3 }, 0.01),
        (Noise::Lognormal { sigma: 1.0 }, 0.05),
        (Noise::Pareto { index: 4.0 }, 0.1),
    ] {
        let (mean, work, variation) = moments(noise, 0.5);
        assert!((mean - 1.0).abs() < 0.01, "{noise:?}: mean {mean}");
        assert!((work - 1.0).abs() < 0.01, "{noise:?}: work {work}");
        let expected = noise.variation().unwrap();
        assert!((variation / expected - 1.0).abs() < tolerance, "{noise:?}: {variation}, not {expected}");
    }
}

#[test]
fn strata_agree_with_the_exact_distribution() {
    for noise in [Noise::Lognormal { sigma: 2.0 }, Noise::Pareto { index: 1.5 }] {
        let table = Table::new(noise, 0.7);
        // From the second to the last stratum that is interpolated, at its middle.
        for number in (1..EXACT_FROM as u32).step_by(37) {
            let bits = (number << PLACE_BITS) | (1 << (PLACE_BITS - 1));
            let (drawn, exact) = (table.draw(bits), table.exact(bits));
            assert!((drawn.0 / exact.0 - 1.0).abs() < 0.02, "{noise:?} {number}: {drawn:?} {exact:?}");
            assert!((drawn.1 / exact.1 - 1.0).abs() < 0.02, "{noise:?} {number}: {drawn:?} {exact:?}");
        }
    }
}

#[test]
fn a_tail_of_index_two_or_less_has_no_variance() {
    assert_eq!(Noise::Pareto { index: 1.9 }.variation(), None);
    // Half of 2^32 draws would be needed to see its end; its largest quantile is there.
    let (time, _) = Table::new(Noise::Pareto { index: 1.6 }, 0.0).draw(u32::MAX);
    assert!(time > 100_000.0, "{time}");
}
