//! What is drawn, and what nobody can put into it.

use std::time::Duration;

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

fn hour(number: u32) -> Timestamp {
    Timestamp::from_nanos(1_795_236_205_000_000_000).plus(HOUR * number)
}

fn point(number: u32, value: f64, band: Option<(f64, f64)>) -> Point {
    Point { start: hour(number), end: hour(number + 1), value, band }
}

fn chart(points: Vec<Point>) -> Chart<'static> {
    Chart {
        title: "mean time".into(),
        unit: "ms",
        shape: Shape::Line,
        size: Size::Small,
        points,
        marks: Vec::new(),
    }
}

/// The path of this class.
fn path<'a>(html: &'a str, class: &str) -> &'a str {
    let from = html.split(&format!("class=\"{class}\"")).nth(1).unwrap();
    from.split(" d=\"").nth(1).unwrap().split('"').next().unwrap()
}

#[test]
fn a_course_goes_from_left_to_right_and_breaks_where_nothing_is_known() {
    let html = chart(vec![point(0, 10.0, None), point(1, 5.0, None), point(3, 0.0, None)]).html();
    // Four hours on 236 pixels; the largest value is at the top, zero at the bottom.
    assert_eq!(path(&html, "course"), "M31.5 2.0L90.5 24.0M208.5 46.0L208.5 46.0");
    assert_eq!(path(&html, "band"), "");
    assert!(html.ends_with("<small>0.000 to 10.0 ms</small>"), "{html}");
    let large = Chart { size: Size::Large, unit: "{block}", ..chart(vec![point(0, 10.0, None)]) };
    let caption =
        "<small>mean time: 10.0 to 10.0 block, 2026-11-21 04:43:25 UTC to 2026-11-21 05:43:25 UTC</small>";
    assert!(large.html().ends_with(caption), "{}", large.html());
}

#[test]
fn a_band_goes_around_its_course_and_cannot_hide_it() {
    let band = |value: f64| Some((value / 2.0, value * 1.5));
    let html = chart(vec![point(0, 8.0, band(8.0)), point(1, 4.0, band(4.0)), point(2, 4.0, None)]).html();
    // Twelve is the top: four is at a third of it, the band of eight from a third to all of it.
    assert_eq!(path(&html, "band"), "M41.3 2.0L120.0 24.0L120.0 38.7L41.3 31.3Z");
    let wide = chart(vec![point(0, 8.0, Some((0.0, 1e9)))]).html();
    assert_eq!(path(&wide, "course"), "M120.0 24.0L120.0 24.0", "half of the height is left");
}

#[test]
fn a_level_stretch_is_two_places() {
    let points =
        [3.0, 3.0, 3.0, 3.0, 6.0].into_iter().zip(0..).map(|(value, n)| point(n, value, None)).collect();
    assert_eq!(path(&chart(points).html(), "course"), "M25.6 24.0L167.2 24.0L214.4 2.0");
}

#[test]
fn bars_stand_beside_each_other() {
    let bars = Chart { shape: Shape::Bars, ..chart(vec![point(0, 1.0, None), point(1, 2.0, None)]) };
    let html = bars.html();
    assert!(html.contains("stroke-width=\"118.0\""), "{html}");
    assert_eq!(path(&html, "bars"), "M61.0 46.0V24.0M179.0 46.0V2.0");
}

#[test]
fn marks_are_where_something_happened() {
    let marks = vec![(hour(1), "plan changed"), (hour(9), "later"), (Timestamp::default(), "earlier")];
    let html = Chart { marks, ..chart(vec![point(0, 1.0, None), point(1, 1.0, None)]) }.html();
    assert_eq!(html.matches("<line").count(), 1);
    assert!(
        html.contains("x1=\"120.0\"") && html.contains("<title>plan changed 2026-11-21 05:43:25 UTC</title>")
    );
    let many = (0..200).map(|_| (hour(1), "again")).collect();
    let html = Chart { marks: many, ..chart(vec![point(0, 1.0, None), point(1, 1.0, None)]) }.html();
    assert_eq!(html.matches("<line").count(), MARKS_MAX);
}

#[test]
fn nothing_known_is_said_and_numbers_that_are_none_are_left_out() {
    for points in [vec![], vec![point(0, f64::NAN, None)], vec![point(0, -1.0, None)]] {
        assert_eq!(chart(points).html(), "<small>mean time: nothing known</small>");
    }
    let odd = Some((f64::NAN, f64::INFINITY));
    let html =
        chart(vec![point(0, 0.0, odd), point(1, f64::INFINITY, None), point(2, 0.0, Some((2.0, 1.0)))])
            .html();
    assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
    assert_eq!(path(&html, "course"), "M41.3 46.0L41.3 46.0M198.7 46.0L198.7 46.0");
}

#[test]
fn points_are_bounded() {
    let points = (0..5_000).map(|number| point(number, f64::from(number % 2), None)).collect();
    let html = chart(points).html();
    assert_eq!(path(&html, "course").matches(['M', 'L']).count(), CHART_POINTS_MAX);
    assert!(html.len() < CHART_POINTS_MAX * 16);
}

#[test]
fn no_text_gets_out_of_its_attribute() {
    let nasty = "\" onload='alert(1)'><script>alert(2)</script>";
    let marks = vec![(hour(0), nasty)];
    let hostile = Chart { title: nasty.into(), unit: nasty, marks, ..chart(vec![point(0, 1.0, None)]) };
    let html = hostile.html();
    assert!(!html.contains("<script") && !html.contains("onload='") && !html.contains("\" onload"), "{html}");
    assert!(html.contains("aria-label=\"&quot; onload=&#39;alert(1)&#39;&gt;&lt;script&gt;"), "{html}");
    let empty = Chart { points: Vec::new(), ..hostile };
    assert!(!empty.html().contains("<script"));
}
