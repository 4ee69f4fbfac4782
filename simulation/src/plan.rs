//! What `make evidence` judges: parts, each of so many histories of one kind.

use std::borrow::Cow;

use crate::files::Problem;
use crate::generator::{Class, Generator, Shape};
use crate::history::History;
use crate::rng::{Rng, Stream};
use crate::run::{Case, Purpose, Source};
use crate::tally::{Row, Section};

/// Hours after a flip for which each full hour is looked at.
pub const HOURLY: usize = 24;
/// Neutral flips of each class on which the requirement insists.
pub const NEUTRAL_MIN: u64 = 37_000;
/// Repairs without effect on which it insists.
pub const REPAIRS_MIN: u64 = 10_000;
/// The row of histories whose mixture shifted for good within an hour of the flip.
pub const SHIFTED: &str = "mixture shifted for good at the flip, of all classes above";
/// Looks of the text.
const TEXT_LOOKS: [usize; 6] = [3, 6, 12, 24, 48, 72];
/// Ratios of true regressions.
const RATIOS: [f64; 8] = [1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];
/// Ratios at short baselines.
const RATIOS_SHORT: [f64; 3] = [2.0, 3.0, 10.0];
/// Short baselines, in days.
const SHORT_DAYS: [u32; 3] = [1, 2, 4];
/// Ratios of regressions that are repaired without effect. Of those that are smaller hardly any is found.
const RATIOS_REPAIRED: [f64; 7] = [1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];
/// The same for the classes beside the model.
const RATIO_REPAIRED: f64 = 5.0;
/// Hours between a finding and its repair, at most.
const REPAIR_DELAY_MAX: usize = 24;
/// Hours after a flip in which it is found, repaired, and the repair is measured.
const REPAIR_HOURS: usize = 24 + REPAIR_DELAY_MAX + 72;
/// Bits of a history's number that are its index; those above are its part's.
const INDEX_BITS: u32 = 40;
/// Days on which a statement without a flip is looked at every hour.
const WATCHED_DAYS: usize = 7;

/// How much is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// To see that it works: a minute or two.
    Quick,
    /// The figures to quote.
    Full,
    /// Of these, those of statements without a flip alone, and of the kinds with inputs of their own.
    Rates,
}

/// In which rows histories are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    Gated,
    Apart,
    Regressions,
    ShortRegressions(u32),
    WithoutFlip,
    Repairs,
}

/// Histories of one kind.
#[derive(Clone, Debug)]
pub struct Part {
    /// On the command line; with an index it names a history.
    pub name: String,
    /// How many.
    pub count: u64,
    id: u64,
    looks: Vec<usize>,
    counted: Counted,
    generator: Generator,
}

/// Histories of each kind.
struct Counts {
    model: u64,
    class: u64,
    apart: u64,
    regressions: u64,
    regressions_short: u64,
    statement_days: u64,
    repairs: u64,
}

// === impl Extent ===

impl Extent {
    fn counts(self) -> Counts {
        match self {
            Self::Quick => Counts {
                model: 8_000,
                class: 2_000,
                apart: 1_000,
                regressions: 400,
                regressions_short: 200,
                statement_days: 7_000,
                repairs: 100,
            },
            Self::Full | Self::Rates => Counts {
                model: 100_000,
                class: 40_000,
                apart: 20_000,
                regressions: 4_000,
                regressions_short: 2_000,
                statement_days: 1_000_000,
                repairs: 2_000,
            },
        }
    }

    /// All parts. Which numbers a part has depends on its place alone.
    #[must_use]
    pub fn parts(self, seed: u64) -> Vec<Part> {
        let counts = self.counts();
        let mut parts = Vec::new();
        for class in Class::GATED {
            let count = if class == Class::Model { counts.model } else { counts.class };
            parts.push(Part::new(&class_name(class), class, count, Counted::Gated));
        }
        for days in SHORT_DAYS {
            let plural = if days == 1 { "" } else { "s" };
            let label = format!("the model, baseline of {days} day{plural}");
            let part = Part::new(&format!("{days}-days"), Class::Model, counts.apart, Counted::Apart);
            parts.push(part.labelled(label).with_days(days));
        }
        for class in [Class::MixtureShift, Class::Stress, Class::Text] {
            parts.push(Part::new(&class_name(class), class, counts.apart, Counted::Apart));
        }
        for ratio in RATIOS {
            let part =
                Part::new(&format!("x{ratio}"), Class::Model, counts.regressions, Counted::Regressions);
            parts.push(part.with_ratio(ratio));
        }
        for days in SHORT_DAYS {
            for ratio in RATIOS_SHORT {
                let (name, counted) = (format!("x{ratio}-{days}-days"), Counted::ShortRegressions(days));
                let part = Part::new(&name, Class::Model, counts.regressions_short, counted);
                parts.push(part.with_ratio(ratio).with_days(days));
            }
        }
        let watched = counts.statement_days.div_ceil(WATCHED_DAYS as u64);
        parts.push(Part::new("without-flip", Class::Model, watched, Counted::WithoutFlip));
        for ratio in RATIOS_REPAIRED {
            let name = format!("repair-x{ratio}");
            let part = Part::new(&name, Class::Model, counts.repairs, Counted::Repairs);
            parts.push(part.with_ratio(ratio));
        }
        for class in Class::GATED.into_iter().filter(|class| *class != Class::Model) {
            let name = format!("repair-{}", class_name(class));
            let part = Part::new(&name, class, counts.repairs, Counted::Repairs);
            parts.push(part.with_ratio(RATIO_REPAIRED));
        }
        for (part, id) in parts.iter_mut().zip(1..) {
            part.id = id;
            part.generator.seed = seed;
        }
        if self == Self::Rates {
            parts.retain(|part| part.counted == Counted::WithoutFlip);
        }
        parts
    }
}

/// A class on the command line.
fn class_name(class: Class) -> String {
    format!("{class:?}").to_lowercase()
}

// === impl Part ===

impl Part {
    fn new(name: &str, class: Class, count: u64, counted: Counted) -> Self {
        let text = class == Class::Text;
        let flip = counted != Counted::WithoutFlip;
        let looks = if text { TEXT_LOOKS.to_vec() } else { (1..=HOURLY).collect() };
        let hours_after = match counted {
            Counted::WithoutFlip => WATCHED_DAYS * 24,
            Counted::Repairs => REPAIR_HOURS,
            _ => looks.iter().copied().max().unwrap_or_default(),
        };
        let shape = Shape { hours_after, flip, ..Shape::WEEK_AND_DAY };
        let generator = Generator { seed: 0, class, shape, ratio: 1.0, label: Cow::Borrowed(class.label()) };
        Self { name: name.to_owned(), count, id: 0, looks, counted, generator }
    }

    fn labelled(mut self, label: String) -> Self {
        self.generator.label = Cow::Owned(label);
        self
    }

    fn with_ratio(mut self, ratio: f64) -> Self {
        self.generator.ratio = ratio;
        self
    }

    fn with_days(mut self, days: u32) -> Self {
        self.generator.shape.days_before = days as usize;
        self
    }

    /// One of its histories, again.
    #[must_use]
    pub fn history(&self, index: u64) -> History {
        let history = self.generator.make(self.number(index));
        History { name: format!("{}:{index}", self.name), ..history }
    }

    fn number(&self, index: u64) -> u64 {
        (self.id << INDEX_BITS) | index
    }

    fn rows(&self, history: &History) -> Vec<Row> {
        match self.counted {
            Counted::Apart => vec![Row::Apart(history.truth.class.to_string())],
            Counted::ShortRegressions(days) => vec![Row::Found(Section::Days(days), percent(history))],
            Counted::Gated | Counted::Regressions | Counted::WithoutFlip | Counted::Repairs => {
                rows_of(history)
            }
        }
    }
}

impl Source for Part {
    fn len(&self) -> u64 {
        self.count
    }

    fn cases(&self, index: u64) -> Result<Vec<Case>, Problem> {
        let history = self.history(index);
        let purpose = match self.counted {
            Counted::WithoutFlip => Purpose::WithoutFlip,
            Counted::Repairs => {
                let mut rng = Rng::new(self.generator.seed, self.number(index), Stream::Repair);
                Purpose::Repair { delay_hours: 1 + rng.below(REPAIR_DELAY_MAX as u64) as usize }
            }
            _ => Purpose::Flip(self.rows(&history)),
        };
        Ok(vec![Case { history, looks: self.looks.clone(), purpose }])
    }
}

/// The rows of a history that is what it says it is.
#[must_use]
pub fn rows_of(history: &History) -> Vec<Row> {
    if history.truth.is_regression() {
        return Section::of(history).map(|section| Row::Found(section, percent(history))).collect();
    }
    if history.truth.shifts_at_flip() {
        return vec![Row::Apart(SHIFTED.to_owned())];
    }
    vec![Row::Neutral(history.truth.class.to_string())]
}

fn percent(history: &History) -> u32 {
    (history.truth.ratio * 100.0).round() as u32
}
