//! Collapses lists of values, so that the length of a list is not part of a statement's identity.
//!
//! Three lists are values: `IN (…)`, `ARRAY[…]` and the rows of `VALUES`. While one is open, a finished element
//! is taken back from the output if it adds nothing but length:
//!
//! * it is constant (literals, parameters, `NULL`, `TRUE`, `FALSE`, `DEFAULT`, signs and brackets only) and a
//!   constant element was kept before it, or
//! * its normal form equals that of the element kept last, as in `VALUES (now(), ?), (now(), ?)`.
//!
//! Where the text ends inside a list, the last element also goes if it is the beginning of the element kept
//! last, so that it seldom matters where a long list was cut.
//!
//! Each byte of the normal form is compared at most once for each list around it, and at most
//! [`MAX_LIST_DEPTH`] lists are followed, so the cost stays linear.

use std::ops::Range;

use super::output::{Mark, Output};

/// The deepest nesting of lists that is collapsed. Lists further in keep all their elements, and the statement
/// has the problem [`NestingTooDeep`](super::Problem::NestingTooDeep).
pub const MAX_LIST_DEPTH: usize = 32;

/// The lists that are open at the current token, outermost first.
#[derive(Debug, Default)]
pub(super) struct Lists {
    open: Vec<List>,
}

#[derive(Debug)]
struct List {
    shape: Shape,
    /// The bracket depth of the commas between the elements.
    depth: u32,
    /// Where the normal form of the current element begins: after the comma, or after the bracket.
    element_start: usize,
    /// Whether the current element is constant so far.
    constant: bool,
    last_kept: Option<Kept>,
    constant_was_kept: bool,
    every_element_was_constant: bool,
}

/// The element that was kept last.
#[derive(Debug)]
struct Kept {
    normal: Range<usize>,
    end: Mark,
    /// Whether it is itself the beginning of the element kept before it.
    is_beginning: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `IN (…)` and `ARRAY[…]`: the list ends with the bracket that it began with.
    Bracketed,
    /// `VALUES (…), (…)`: the list ends where no comma, or no bracket after a comma, follows.
    Rows(Expected),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Row,
    Comma,
}

/// The tokens that decide whether a list of rows goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Open,
    Comma,
    Any,
}

impl Lists {
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    /// Starts `IN (` or `ARRAY[`, whose bracket has been written; `depth` is the depth inside it. Returns false if
    /// there are too many lists.
    #[must_use]
    pub(super) fn start_bracketed(&mut self, depth: u32, out: &Output<'_>) -> bool {
        self.start(Shape::Bracketed, depth, out)
    }

    /// Starts the rows of `VALUES`; `depth` is the depth around them. Returns false if there are too many lists.
    #[must_use]
    pub(super) fn start_rows(&mut self, depth: u32, out: &Output<'_>) -> bool {
        self.start(Shape::Rows(Expected::Row), depth, out)
    }

    fn start(&mut self, shape: Shape, depth: u32, out: &Output<'_>) -> bool {
        if self.open.len() >= MAX_LIST_DEPTH {
            return false;
        }
        self.open.push(List {
            shape,
            depth,
            element_start: out.normal_length(),
            constant: true,
            last_kept: None,
            constant_was_kept: false,
            every_element_was_constant: true,
        });
        true
    }

    /// To be called before each token: ends a list of rows that the token does not continue.
    #[inline]
    pub(super) fn before(&mut self, step: Step, depth: u32) {
        let Some(List { shape: Shape::Rows(expected), depth: list_depth, .. }) = self.open.last() else {
            return;
        };
        let continues = match expected {
            Expected::Row => step == Step::Open,
            Expected::Comma => step == Step::Comma,
        };
        if *list_depth == depth && !continues {
            self.end_innermost();
        }
    }

    /// To be called for each token that is not constant.
    #[inline]
    pub(super) fn not_constant(&mut self) {
        if let Some(list) = self.open.last_mut() {
            list.constant = false;
        }
    }

    /// To be called for a word that makes what stands in brackets a query, not a list; `before` is the place
    /// before the word.
    pub(super) fn query_word(&mut self, depth: u32, before: Mark) {
        if let Some(list) = self.open.last()
            && list.shape == Shape::Bracketed
            && list.depth == depth
            && list.last_kept.is_none()
            && list.element_start == before.normal
        {
            self.open.pop();
        }
    }

    /// To be called before a comma is written.
    #[inline]
    pub(super) fn before_comma(&mut self, depth: u32, out: &mut Output<'_>) {
        if let Some(list) = self.open.last_mut()
            && list.shape == Shape::Bracketed
            && list.depth == depth
        {
            list.finish_element(out, Finish::Complete);
        }
    }

    /// To be called after a comma was written.
    #[inline]
    pub(super) fn after_comma(&mut self, depth: u32, out: &Output<'_>) {
        let Some(list) = self.open.last_mut() else { return };
        if list.depth == depth {
            list.element_start = out.normal_length();
            if list.shape != Shape::Bracketed {
                list.shape = Shape::Rows(Expected::Row);
            }
        }
    }

    /// To be called before a closing bracket is written; `depth` is the depth inside it.
    #[inline]
    pub(super) fn before_close(&mut self, depth: u32, out: &mut Output<'_>) {
        if let Some(list) = self.open.last_mut()
            && list.shape == Shape::Bracketed
            && list.depth == depth
        {
            list.finish_element(out, Finish::Complete);
            self.end_innermost();
        }
    }

    /// To be called after a closing bracket was written; `depth` is the depth outside it.
    #[inline]
    pub(super) fn after_close(&mut self, depth: u32, out: &mut Output<'_>) {
        if let Some(list) = self.open.last_mut()
            && list.shape == Shape::Rows(Expected::Row)
            && list.depth == depth
        {
            list.finish_element(out, Finish::Complete);
            list.shape = Shape::Rows(Expected::Comma);
        }
    }

    /// Ends all lists where the statement ends.
    pub(super) fn end_all(&mut self, out: &mut Output<'_>) {
        while let Some(list) = self.open.last_mut() {
            if list.shape != Shape::Rows(Expected::Comma) {
                list.finish_element(out, Finish::CutShort);
            }
            self.end_innermost();
        }
    }

    fn end_innermost(&mut self) {
        let Some(ended) = self.open.pop() else { return };
        if let Some(around) = self.open.last_mut() {
            around.constant &= ended.every_element_was_constant;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    Complete,
    CutShort,
}

impl List {
    /// Keeps the current element or takes it back, together with the comma before it.
    fn finish_element(&mut self, out: &mut Output<'_>, finish: Finish) {
        let end = out.mark();
        let normal = self.element_start..end.normal;
        let relation = self.last_kept.as_ref().map(|kept| relation(out, normal.clone(), kept.normal.clone()));
        match &self.last_kept {
            Some(kept) if self.adds_nothing(kept, relation, finish) => out.roll_back(kept.end),
            _ => {
                self.last_kept =
                    Some(Kept { normal, end, is_beginning: relation == Some(Relation::Beginning) });
                self.constant_was_kept |= self.constant;
                self.every_element_was_constant &= self.constant;
            }
        }
        self.constant = true;
    }

    fn adds_nothing(&self, kept: &Kept, relation: Option<Relation>, finish: Finish) -> bool {
        let is_repeated = (self.constant && self.constant_was_kept) || relation == Some(Relation::Equal);
        match finish {
            Finish::Complete => is_repeated,
            // The element before this one would be cut short in its place. If that in turn were taken back, masking
            // the masked text would take it back.
            Finish::CutShort => !kept.is_beginning && (is_repeated || relation == Some(Relation::Beginning)),
        }
    }
}

/// What the normal form of an element is to that of the element kept last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Equal,
    Beginning,
    Different,
}

fn relation(out: &Output<'_>, element: Range<usize>, kept: Range<usize>) -> Relation {
    let normal = |range| out.normal_form().get(range).unwrap_or_default();
    let (element, kept) = (normal(element), normal(kept));
    if element == kept {
        Relation::Equal
    } else if kept.starts_with(element) {
        Relation::Beginning
    } else {
        Relation::Different
    }
}
