//! Durations as Go prints them: `1h2m3.5s`.

use std::time::Duration;

/// The duration from a second upwards in hours, minutes and seconds, below in `ms`; to the millisecond.
pub(super) fn go(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (hours, minutes, rest) = (millis / 3_600_000, millis / 60_000 % 60, millis % 60_000);
    let seconds = match rest % 1_000 {
        0 => format!("{}s", rest / 1_000),
        fraction => {
            let fraction = format!("{fraction:03}");
            format!("{}.{}s", rest / 1_000, fraction.trim_end_matches('0'))
        }
    };
    match (hours, minutes) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_look_as_go_writes_them() {
        let check = |millis, expected: &str| assert_eq!(go(Duration::from_millis(millis)), expected);
        check(0, "0s");
        check(250, "250ms");
        check(1_000, "1s");
        check(1_500, "1.5s");
        check(61_001, "1m1.001s");
        check(3_600_000, "1h0m0s");
        check(90_061_000, "25h1m1s");
    }
}
