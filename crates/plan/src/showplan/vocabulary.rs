//! Closed sets of names, found by a table that is built at compile time.

/// Slots of a table: a power of two, about four times the number of names, so that most look-ups compare once.
pub(super) const SLOTS: usize = 2048;

/// For each slot, the place of a name plus one, or 0. A name whose slot is taken stands in the next free one.
pub(super) type Table = [u16; SLOTS];

#[allow(clippy::indexing_slicing, reason = "runs at compile time, where a wrong index is a build error")]
pub(super) const fn table(names: &[&str]) -> Table {
    let mut table = [0; SLOTS];
    let mut at = 0;
    while at < names.len() {
        let mut slot = slot(names[at].as_bytes());
        while table[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = at as u16 + 1;
        at += 1;
    }
    table
}

/// The place of `name` among `names`, whose table is given.
#[inline]
pub(super) fn find(name: &str, names: &[&str], table: &Table) -> Option<usize> {
    let mut slot = slot(name.as_bytes());
    loop {
        let at = usize::from(*table.get(slot)?).checked_sub(1)?;
        if *names.get(at)? == name {
            return Some(at);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// A few bytes and the length tell nearly all names apart.
#[inline]
#[allow(clippy::indexing_slicing, reason = "every index is below the length, which is not zero")]
const fn slot(name: &[u8]) -> usize {
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let mut hash = length as u32;
    let mut fifth = 0;
    while fifth < 5 {
        let at = if fifth == 4 { length - 1 } else { length * fifth / 4 };
        hash = hash.wrapping_mul(0x9e37_79b1) ^ name[at] as u32;
        fifth += 1;
    }
    (hash.wrapping_mul(0x9e37_79b1) >> 21) as usize % SLOTS
}

/// An enumeration of names, each with a property.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $set:ident: $property:ident; $($kind:ident { $($name:ident $text:literal)+ })+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $set {
            $($($name,)+)+
        }

        const ALL: &[$set] = &[$($($set::$name,)+)+];
        const NAMES: &[&str] = &[$($($text,)+)+];
        static TABLE: crate::showplan::vocabulary::Table = crate::showplan::vocabulary::table(NAMES);

        impl $set {
            /// The member with this name.
            #[inline]
            pub(super) fn lookup(name: &str) -> Option<Self> {
                ALL.get(crate::showplan::vocabulary::find(name, NAMES, &TABLE)?).copied()
            }

            /// The name as SQL Server writes it.
            pub(super) const fn as_str(self) -> &'static str {
                match self {
                    $($(Self::$name => $text,)+)+
                }
            }

            pub(super) const fn property(self) -> $property {
                match self {
                    $($(Self::$name)|+ => $property::$kind,)+
                }
            }
        }

        #[cfg(test)]
        mod tests {
            use super::{$set, ALL};

            #[test]
            fn every_name_is_found_and_nothing_else_is() {
                for member in ALL {
                    assert_eq!($set::lookup(member.as_str()), Some(*member));
                    assert_eq!($set::lookup(&format!("{} ", member.as_str())), None, "{member:?}");
                }
                assert_eq!($set::lookup(""), None);
                assert!(4 * ALL.len() < 2 * crate::showplan::vocabulary::SLOTS, "the table is too full");
            }
        }
    };
}

pub(super) use vocabulary;
