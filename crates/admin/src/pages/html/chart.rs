//! A course over time as a small picture within the page (SVG). It is made of numbers that are written here and of texts that go through
//! [`escape`]; the caption says in words what the picture shows, for those who do not see it.

use std::borrow::Cow;
use std::fmt::Write as _;

use dbintel_model::Timestamp;
use dbintel_model::finding::digits;

use super::{Cell, Page, escape};
use crate::pages::format;

/// Points of one chart. Of more, the last ones are drawn.
pub const CHART_POINTS_MAX: usize = 480;
/// Marks in one chart. Of more, the last ones are drawn.
const MARKS_MAX: usize = 16;
/// Empty pixels around everything, so that lines are not cut in half.
const MARGIN: f64 = 2.0;
/// Pixels that nobody sees.
const LEVEL: f64 = 0.01;
/// The scale ends at this many times the largest value at most: a wide band is cut, so that the course stays visible.
const BAND_SCALE_MAX: f64 = 2.0;

/// What is drawn.
#[derive(Debug)]
pub(in crate::pages) struct Chart<'a> {
    /// What it shows.
    pub(in crate::pages) title: Cow<'a, str>,
    /// Unit of the values.
    pub(in crate::pages) unit: &'a str,
    pub(in crate::pages) shape: Shape,
    pub(in crate::pages) size: Size,
    /// The oldest first.
    pub(in crate::pages) points: Vec<Point>,
    /// Moments that get a vertical line, the oldest first, each with what happened.
    pub(in crate::pages) marks: Vec<(Timestamp, &'a str)>,
}

/// How values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pages) enum Shape {
    /// A line with its band. Where nothing is known it is broken.
    Line,
    /// A bar for each value.
    Bars,
}

/// Pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pages) enum Size {
    /// In a row of a table.
    Small,
    /// By itself.
    Large,
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::pages) struct Point {
    pub(in crate::pages) start: Timestamp,
    pub(in crate::pages) end: Timestamp,
    pub(in crate::pages) value: f64,
    /// Lower and upper end of the band around it.
    pub(in crate::pages) band: Option<(f64, f64)>,
}

/// From times and values to pixels.
struct Scale {
    from: Timestamp,
    to: Timestamp,
    top: f64,
    size: (f64, f64),
}

impl Page {
    /// A chart by itself.
    pub(in crate::pages) fn chart(&mut self, chart: &Chart<'_>) {
        let piece = format!("<div>{}</div>\n", chart.html());
        self.push(&piece);
    }
}

impl Cell {
    /// A chart in a cell.
    pub(in crate::pages) fn chart(chart: &Chart<'_>) -> Self {
        Self { content: chart.html(), is_number: false }
    }
}

// === impl Chart ===

impl Chart<'_> {
    fn html(&self) -> String {
        let known: Vec<Point> = self.points.iter().copied().filter(Point::is_known).collect();
        let points = known.get(known.len().saturating_sub(CHART_POINTS_MAX)..).unwrap_or_default();
        let Some(scale) = Scale::of(points, self.size) else {
            return format!("<small>{}: nothing known</small>", escape(&self.title));
        };
        let (width, height) = scale.size;
        let title = escape(&self.title);
        let mut html = format!(
            "<svg role=\"img\" aria-label=\"{title}\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\
             <title>{title}</title>"
        );
        // Writing to a string cannot fail, here and below.
        let _ = match self.shape {
            Shape::Line => write!(
                html,
                "<path class=\"band\" d=\"{}\"/><path class=\"course\" d=\"{}\"/>",
                scale.bands(points),
                scale.line(points)
            ),
            Shape::Bars => write!(
                html,
                "<path class=\"bars\" stroke-width=\"{:.1}\" d=\"{}\"/>",
                scale.bar_width(points),
                scale.bars(points)
            ),
        };
        for (at, what) in self.marks.iter().skip(self.marks.len().saturating_sub(MARKS_MAX)) {
            if (scale.from..=scale.to).contains(at) {
                let (x, what) = (scale.x(*at), escape(what));
                let at = escape(&format::clock_time(*at));
                let _ = write!(
                    html,
                    "<line class=\"change\" x1=\"{x:.1}\" y1=\"0\" x2=\"{x:.1}\" y2=\"{height}\"><title>{what} {at}</title></line>"
                );
            }
        }
        let _ = write!(html, "</svg><small>{}</small>", escape(&self.caption(points, &scale)));
        html
    }

    /// The range, and of a large one what is drawn and when: `mean time: 1.20 to 7.50 ms, … UTC to … UTC`.
    fn caption(&self, points: &[Point], scale: &Scale) -> String {
        let values = || points.iter().map(|point| point.value);
        let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        // What stands in braces is no unit but says what is counted.
        let range = format!("{} to {} {}", digits(least), digits(most), self.unit.trim_matches(['{', '}']));
        match self.size {
            Size::Small => range,
            Size::Large => {
                let (from, to) = (format::clock_time(scale.from), format::clock_time(scale.to));
                format!("{}: {range}, {from} to {to}", self.title)
            }
        }
    }
}

// === impl Size ===

impl Size {
    const fn pixels(self) -> (f64, f64) {
        match self {
            Self::Small => (240.0, 48.0),
            Self::Large => (720.0, 140.0),
        }
    }
}

// === impl Point ===

impl Point {
    fn is_known(&self) -> bool {
        self.value.is_finite() && self.value >= 0.0 && self.end >= self.start
    }

    /// The band, where it is one.
    fn known_band(&self) -> Option<(f64, f64)> {
        self.band.filter(|(low, high)| low.is_finite() && high.is_finite() && low <= high)
    }
}

// === impl Scale ===

impl Scale {
    /// `None` where there is nothing to draw.
    fn of(points: &[Point], size: Size) -> Option<Self> {
        let from = points.first()?.start;
        let to = points.iter().map(|point| point.end).max().filter(|to| *to > from)?;
        let most = points.iter().map(|point| point.value).fold(0.0, f64::max);
        let band = points.iter().filter_map(Point::known_band).map(|(_, high)| high).fold(most, f64::max);
        let top = band.min(most * BAND_SCALE_MAX);
        // A course of zeros is a line at the bottom.
        Some(Self { from, to, top: if top > 0.0 { top } else { 1.0 }, size: size.pixels() })
    }

    fn x(&self, at: Timestamp) -> f64 {
        let share = at.since(self.from).as_secs_f64() / self.to.since(self.from).as_secs_f64();
        MARGIN + share.clamp(0.0, 1.0) * (self.size.0 - 2.0 * MARGIN)
    }

    fn y(&self, value: f64) -> f64 {
        self.size.1 - MARGIN - (value / self.top).clamp(0.0, 1.0) * (self.size.1 - 2.0 * MARGIN)
    }

    fn middle(&self, point: &Point) -> f64 {
        f64::midpoint(self.x(point.start), self.x(point.end))
    }

    fn line(&self, points: &[Point]) -> String {
        let mut path = String::new();
        for run in points.chunk_by(follows) {
            let places: Vec<_> = run.iter().map(|point| (self.middle(point), self.y(point.value))).collect();
            draw(&mut path, &places);
            if let [(x, y)] = places[..] {
                // A line of no length, which round ends make a dot.
                let _ = write!(path, "L{x:.1} {y:.1}");
            }
        }
        path
    }

    fn bands(&self, points: &[Point]) -> String {
        let mut path = String::new();
        let with_band = |one: &Point, next: &Point| {
            follows(one, next) && one.known_band().is_some() == next.known_band().is_some()
        };
        for run in points.chunk_by(with_band) {
            let high = run.iter().filter_map(|point| Some((point, point.known_band()?.1)));
            let low = run.iter().rev().filter_map(|point| Some((point, point.known_band()?.0)));
            let places: Vec<_> =
                high.chain(low).map(|(point, value)| (self.middle(point), self.y(value))).collect();
            draw(&mut path, &places);
            if !places.is_empty() {
                path.push('Z');
            }
        }
        path
    }

    fn bars(&self, points: &[Point]) -> String {
        let mut path = String::new();
        for point in points {
            let _ = write!(
                path,
                "M{:.1} {:.1}V{:.1}",
                self.middle(point),
                self.size.1 - MARGIN,
                self.y(point.value)
            );
        }
        path
    }

    /// The width of the narrowest bar, so that none covers another.
    fn bar_width(&self, points: &[Point]) -> f64 {
        let widths = points.iter().map(|point| self.x(point.end) - self.x(point.start));
        widths.fold(f64::INFINITY, f64::min).max(0.5)
    }
}

/// Adds a line through these places. Those in the middle of a level stretch say nothing and are left out.
fn draw(path: &mut String, places: &[(f64, f64)]) {
    for (index, (x, y)) in places.iter().enumerate() {
        let around = [index.checked_sub(1), index.checked_add(1)].map(|beside| places.get(beside?));
        let is_level =
            |beside: &Option<&(f64, f64)>| beside.is_some_and(|(_, other)| (other - y).abs() < LEVEL);
        if !around.iter().all(is_level) {
            let step = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{step}{x:.1} {y:.1}");
        }
    }
}

/// Whether nothing is missing between the two: at most half the length of one.
fn follows(one: &Point, next: &Point) -> bool {
    next.start.since(one.end) <= one.end.since(one.start) / 2
}

#[cfg(test)]
mod tests;
