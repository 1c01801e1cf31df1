//! Doubly linked lists through a slab, so that an entry leaves any of its lists in constant time.

/// The place of an entry in the slab.
pub(crate) type Slot = u32;

/// No entry.
pub(crate) const NONE: Slot = Slot::MAX;

/// The neighbours of an entry in one list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    previous: Slot,
    next: Slot,
}

impl Default for Links {
    fn default() -> Self {
        Self { previous: NONE, next: NONE }
    }
}

/// The ends of a list, oldest first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) first: Slot,
    last: Slot,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

/// A slab whose entries have links for lists of the kinds `L`.
pub(crate) trait Linked<L: Copy> {
    /// The links of an entry, none if there is no such entry.
    fn links(&mut self, slot: Slot, list: L) -> Option<&mut Links>;
}

impl List {
    /// Adds an entry at the end.
    pub(crate) fn push<L: Copy>(&mut self, slab: &mut impl Linked<L>, kind: L, slot: Slot) {
        if let Some(links) = slab.links(slot, kind) {
            *links = Links { previous: self.last, next: NONE };
        }
        match slab.links(self.last, kind) {
            Some(last) => last.next = slot,
            None => self.first = slot,
        }
        self.last = slot;
    }

    /// Takes an entry of this list out.
    pub(crate) fn remove<L: Copy>(&mut self, slab: &mut impl Linked<L>, kind: L, slot: Slot) {
        let Some(links) = slab.links(slot, kind) else { return };
        let Links { previous, next } = std::mem::take(links);
        match slab.links(previous, kind) {
            Some(before) => before.next = next,
            None => self.first = next,
        }
        match slab.links(next, kind) {
            Some(after) => after.previous = previous,
            None => self.last = previous,
        }
    }

    /// The entry behind this one.
    pub(crate) fn after<L: Copy>(slab: &mut impl Linked<L>, kind: L, slot: Slot) -> Slot {
        slab.links(slot, kind).map_or(NONE, |links| links.next)
    }
}
