//! The dotted path of a node, kept on the stack while walking and written out only for an error.

use std::fmt;

/// The place of a node below the root of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Path<'a> {
    /// The root, or a prefix given by the caller.
    Root(&'a str),
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

// === impl Path ===

impl<'a> Path<'a> {
    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    /// How many levels below the root this is.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Root(_) => 0,
            Self::Key(parent, _) | Self::Index(parent, _) => parent.depth() + 1,
        }
    }

    /// Whether any key on the way satisfies the test. The prefix is not asked: it names a component.
    pub(crate) fn any_key(&self, test: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Root(_) => false,
            Self::Key(parent, key) => test(key) || parent.any_key(test),
            Self::Index(parent, _) => parent.any_key(test),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(prefix) => f.write_str(prefix),
            Self::Key(Path::Root(""), key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}.{index}"),
        }
    }
}
