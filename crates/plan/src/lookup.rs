//! Finds a name in a fixed list by hashing a few of its bytes. Made at compile time.

/// A power of two, several times the number of names in any list, so that nearly every look-up compares once.
const SLOTS: usize = 1024;

/// Where the names of one list are.
pub(crate) struct Lookup {
    /// For each slot, the place of a name in the list plus one, or 0. A name whose slot is taken stands in the next
    /// free one.
    slots: [u8; SLOTS],
}

impl Lookup {
    /// The look-up of a list of at most 255 names.
    #[allow(clippy::indexing_slicing, reason = "runs at compile time, where a wrong index is a build error")]
    pub(crate) const fn of(names: &[&str]) -> Self {
        assert!(names.len() < u8::MAX as usize, "places are counted in bytes");
        let mut slots = [0; SLOTS];
        let mut at = 0;
        while at < names.len() {
            let mut slot = slot(names[at].as_bytes());
            while slots[slot] != 0 {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = at as u8 + 1;
            at += 1;
        }
        Self { slots }
    }

    /// The place of `name` in the list this is the look-up of.
    #[inline]
    pub(crate) fn find(&self, names: &[&str], name: &str) -> Option<usize> {
        let mut slot = slot(name.as_bytes());
        loop {
            let place = usize::from(*self.slots.get(slot)?).checked_sub(1)?;
            if *names.get(place)? == name {
                return Some(place);
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

/// The length and a few bytes tell nearly all names apart.
#[inline]
#[allow(clippy::indexing_slicing, reason = "every index is below the length, which is not zero")]
const fn slot(name: &[u8]) -> usize {
    const FACTOR: u32 = 0x9e37_79b1;
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let mut hash = length as u32;
    hash = hash.wrapping_mul(FACTOR) ^ name[0] as u32;
    hash = hash.wrapping_mul(FACTOR) ^ name[length / 4] as u32;
    hash = hash.wrapping_mul(FACTOR) ^ name[length / 2] as u32;
    hash = hash.wrapping_mul(FACTOR) ^ name[length * 3 / 4] as u32;
    hash = hash.wrapping_mul(FACTOR) ^ name[length - 1] as u32;
    hash = hash.wrapping_mul(FACTOR);
    (hash >> 22) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::Lookup;

    const NAMES: &[&str] = &["Plan", "Plans", "", "a", "Index Name", "Index Cond"];
    static LOOKUP: Lookup = Lookup::of(NAMES);

    #[test]
    fn names_of_the_list_are_found_and_no_others() {
        for (place, name) in NAMES.iter().enumerate() {
            assert_eq!(LOOKUP.find(NAMES, name), Some(place));
        }
        for name in ["plan", "Plan ", "b", "Index"] {
            assert_eq!(LOOKUP.find(NAMES, name), None);
        }
    }
}
