//! A ten-way digit trie in one flat array. A prefix under which nothing longer stands needs no node of its
//! own: its place in the parent holds the value, so that most of a large table is one level shorter.

/// Says "no value" and "no child".
pub(crate) const NONE: u32 = u32::MAX;
/// Marks a child that is a value, not a node.
const LEAF: u32 = 1 << 31;
/// Longest way through the trie: digits of an address (SMPP 3.4 §5.2.9), and the root.
pub(crate) const DEPTH_MAX: usize = crate::snapshot::NUMBER_LENGTH_MAX + 1;

/// Prefix -> value, values below `LEAF`.
#[derive(Debug)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    children: [u32; 10],
    value: u32,
}

const EMPTY: Node = Node { children: [NONE; 10], value: NONE };

impl Trie {
    pub(crate) fn new() -> Self {
        Self { nodes: vec![EMPTY] }
    }

    /// Sets the value of a prefix of at most 20 ASCII digits.
    pub(crate) fn insert(&mut self, prefix: &[u8], value: u32) {
        assert!(value < LEAF - 1, "more values than the trie can name");
        assert!(prefix.len() < DEPTH_MAX);
        let Some((last, way)) = prefix.split_last() else {
            self.nodes[0].value = value;
            return;
        };
        let mut at = 0;
        for digit in way {
            at = self.descend(at, usize::from(digit - b'0'));
        }
        let child = self.nodes[at].children[usize::from(last - b'0')];
        if child == NONE || child & LEAF != 0 {
            self.nodes[at].children[usize::from(last - b'0')] = LEAF | value;
        } else {
            self.nodes[child as usize].value = value;
        }
    }

    /// The node below, made or unfolded from a leaf where needed.
    fn descend(&mut self, at: usize, digit: usize) -> usize {
        let child = self.nodes[at].children[digit];
        if child != NONE && child & LEAF == 0 {
            return child as usize;
        }
        let value = if child == NONE { NONE } else { child & !LEAF };
        let new = self.nodes.len();
        assert!((new as u32) < LEAF, "more nodes than the trie can name");
        self.nodes.push(Node { value, ..EMPTY });
        self.nodes[at].children[digit] = new as u32;
        new
    }

    /// The value of the longest prefix of `digits`.
    #[inline]
    pub(crate) fn longest(&self, digits: &[u8]) -> Option<u32> {
        let (found, count) = self.on_the_way(digits);
        found[..count].last().copied()
    }

    /// Values of all prefixes of `digits`, shortest first, and how many there are. Ends at the first octet
    /// that is no digit.
    #[inline]
    pub(crate) fn on_the_way(&self, digits: &[u8]) -> ([u32; DEPTH_MAX], usize) {
        let mut found = [NONE; DEPTH_MAX];
        let mut count = 0;
        let mut node = &self.nodes[0];
        let mut keep = |value: u32| {
            if value != NONE && count < DEPTH_MAX {
                found[count] = value;
                count += 1;
            }
        };
        keep(node.value);
        for octet in digits {
            let digit = octet.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            let child = node.children[usize::from(digit)];
            if child == NONE {
                break;
            }
            if child & LEAF != 0 {
                keep(child & !LEAF);
                break;
            }
            node = &self.nodes[child as usize];
            keep(node.value);
        }
        (found, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_prefix_whatever_the_order_of_insertion() {
        let prefixes: [&[u8]; 6] = [b"", b"1", b"120", b"12025", b"44", b"4"];
        for rotation in 0..prefixes.len() {
            let mut trie = Trie::new();
            for step in 0..prefixes.len() {
                let value = (step + rotation) % prefixes.len();
                trie.insert(prefixes[value], value as u32);
            }
            check(&trie, b"12025550100", &[0, 1, 2, 3]);
            check(&trie, b"1", &[0, 1]);
            check(&trie, b"447700", &[0, 5, 4]);
            check(&trie, b"999", &[0]);
            check(&trie, b"12x25", &[0, 1]);
            check(&trie, b"", &[0]);
        }
    }

    #[test]
    fn a_leaf_keeps_its_value_when_it_gets_children() {
        let mut trie = Trie::new();
        trie.insert(b"12", 1);
        trie.insert(b"1234", 2);
        trie.insert(b"12", 3);
        check(&trie, b"12345", &[3, 2]);
    }

    fn check(trie: &Trie, digits: &[u8], expected: &[u32]) {
        let (found, count) = trie.on_the_way(digits);
        assert_eq!(&found[..count], expected);
    }
}
