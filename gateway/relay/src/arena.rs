//! Slots that are used again, with keys that outlive them harmlessly, and lists through them. A slot keeps its
//! value when it is closed, so that the value's buffers serve the next one.

use crate::message::Key;

/// End of a list.
const NIL: u32 = u32::MAX;

/// At most `max` open values; memory grows to the highest number ever open and stays.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    slots: Vec<Slot<T>>,
    /// First closed slot; they hang together by `next`. The last one closed is the first one opened.
    free: u32,
    open: u32,
    max: u32,
}

#[derive(Debug)]
struct Slot<T> {
    /// Odd while open.
    generation: u32,
    previous: u32,
    next: u32,
    value: T,
}

/// What one slot takes, octets; what its value holds on the heap comes on top.
pub(crate) const fn slot_octets<T>() -> usize {
    core::mem::size_of::<Slot<T>>()
}

/// A list through an arena's slots; a slot is in one list at most, and its owner knows in which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    head: u32,
    tail: u32,
    length: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { head: NIL, tail: NIL, length: 0 }
    }
}

impl List {
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.length
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl<T: Default> Arena<T> {
    pub(crate) fn new(max: u32) -> Self {
        Self { slots: Vec::new(), free: NIL, open: 0, max }
    }

    /// Another bound; what is open over it stays.
    pub(crate) fn set_max(&mut self, max: u32) {
        self.max = max;
    }

    #[inline]
    pub(crate) fn open(&self) -> u32 {
        self.open
    }

    /// Opens a slot and lends its last value; nothing when `max` are open.
    #[inline]
    pub(crate) fn insert(&mut self) -> Option<(Key, &mut T)> {
        if self.open >= self.max {
            return None;
        }
        if self.free == NIL {
            self.slots.push(Slot { generation: 0, previous: NIL, next: NIL, value: T::default() });
            self.free = self.slots.len() as u32 - 1;
        }
        let index = self.free;
        let slot = &mut self.slots[index as usize];
        self.free = slot.next;
        self.open += 1;
        slot.next = NIL;
        slot.generation = slot.generation.wrapping_add(1);
        assert!(slot.generation & 1 == 1);
        Some((Key { index, generation: slot.generation }, &mut slot.value))
    }

    /// Closes a slot that is in no list. Its key and all copies of it are stale from now on.
    #[inline]
    pub(crate) fn close(&mut self, key: Key) {
        let slot = &mut self.slots[key.index as usize];
        assert!(slot.generation == key.generation);
        assert!(slot.previous == NIL && slot.next == NIL);
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = self.free;
        self.free = key.index;
        self.open -= 1;
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        (slot.generation == key.generation && key.generation & 1 == 1).then_some(&slot.value)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        (slot.generation == key.generation && key.generation & 1 == 1).then_some(&mut slot.value)
    }

    /// The open slots with such a value, by index. Looks at all slots.
    pub(crate) fn keys_of(&self, is_wanted: impl Fn(&T) -> bool) -> Vec<Key> {
        let slots = self.slots.iter().zip(0..);
        let wanted = slots.filter(|(slot, _)| slot.generation & 1 == 1 && is_wanted(&slot.value));
        wanted.map(|(slot, index)| Key { index, generation: slot.generation }).collect()
    }

    /// The first of a list.
    #[inline]
    pub(crate) fn first(&self, list: &List) -> Option<Key> {
        (list.head != NIL).then(|| self.key_at(list.head))
    }

    /// The one behind `key` in its list.
    pub(crate) fn after(&self, key: Key) -> Option<Key> {
        debug_assert!(self.get(key).is_some());
        let next = self.slots[key.index as usize].next;
        (next != NIL).then(|| self.key_at(next))
    }

    pub(crate) fn push_back(&mut self, list: &mut List, key: Key) {
        debug_assert!(self.get(key).is_some());
        let tail = list.tail;
        let slot = &mut self.slots[key.index as usize];
        slot.previous = tail;
        slot.next = NIL;
        match tail {
            NIL => list.head = key.index,
            tail => self.slots[tail as usize].next = key.index,
        }
        list.tail = key.index;
        list.length += 1;
    }

    pub(crate) fn push_front(&mut self, list: &mut List, key: Key) {
        debug_assert!(self.get(key).is_some());
        let head = list.head;
        let slot = &mut self.slots[key.index as usize];
        slot.previous = NIL;
        slot.next = head;
        match head {
            NIL => list.tail = key.index,
            head => self.slots[head as usize].previous = key.index,
        }
        list.head = key.index;
        list.length += 1;
    }

    /// Takes an open slot out of the list it is in.
    pub(crate) fn remove(&mut self, list: &mut List, key: Key) {
        let slot = &mut self.slots[key.index as usize];
        assert!(slot.generation == key.generation);
        let (previous, next) = (slot.previous, slot.next);
        (slot.previous, slot.next) = (NIL, NIL);
        match previous {
            NIL => list.head = next,
            previous => self.slots[previous as usize].next = next,
        }
        match next {
            NIL => list.tail = previous,
            next => self.slots[next as usize].previous = previous,
        }
        list.length -= 1;
    }

    fn key_at(&self, index: u32) -> Key {
        Key { index, generation: self.slots[index as usize].generation }
    }
}

impl<T: Default> core::ops::Index<Key> for Arena<T> {
    type Output = T;

    /// # Panics
    /// When the key is stale: the caller has just looked.
    #[inline]
    fn index(&self, key: Key) -> &T {
        self.get(key).expect("a key that was just looked up")
    }
}

impl<T: Default> core::ops::IndexMut<Key> for Arena<T> {
    #[inline]
    fn index_mut(&mut self, key: Key) -> &mut T {
        self.get_mut(key).expect("a key that was just looked up")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_stale_and_values_stay() {
        let mut arena: Arena<Vec<u8>> = Arena::new(2);
        let (first, value) = arena.insert().unwrap();
        value.extend_from_slice(b"kept");
        arena.close(first);
        assert!(arena.get(first).is_none());
        let (second, value) = arena.insert().unwrap();
        assert_eq!(value, b"kept");
        assert_ne!(first, second);
        assert!(arena.get(first).is_none());
        arena.insert().unwrap();
        assert!(arena.insert().is_none());
        assert!(arena.get(Key { index: 99, generation: 1 }).is_none());
    }

    #[test]
    fn lists_keep_order_through_removals() {
        let mut arena: Arena<u8> = Arena::new(8);
        let mut list = List::default();
        let keys: Vec<Key> = (0..4).map(|_| arena.insert().unwrap().0).collect();
        for key in &keys[1..] {
            arena.push_back(&mut list, *key);
        }
        arena.push_front(&mut list, keys[0]);
        arena.remove(&mut list, keys[2]);
        let mut seen = Vec::new();
        while let Some(key) = arena.first(&list) {
            arena.remove(&mut list, key);
            seen.push(key);
        }
        assert_eq!(seen, [keys[0], keys[1], keys[3]]);
        assert!(list.is_empty());
    }
}
