//! The user data header at the head of a payload: a walk over its information elements (GSM 03.40 §9.2.3.24).

use super::segment::{Marking, Part};

/// The information elements of a user data header (GSM 03.40 §9.2.3.24).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Udh<'a> {
    elements: &'a [u8],
}

/// One information element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Element<'a> {
    /// Its identifier.
    pub id: u8,
    /// Its data.
    pub data: &'a [u8],
}

/// Application ports (information elements 0x04 and 0x05).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    /// Port of the receiver.
    pub destination: u16,
    /// Port of the sender.
    pub source: u16,
}

impl<'a> Udh<'a> {
    /// Takes the header off a payload: the header and the text behind it. `None` when the payload is shorter
    /// than the header says.
    pub fn split(payload: &'a [u8]) -> Option<(Udh<'a>, &'a [u8])> {
        let (&length, behind) = payload.split_first()?;
        let (elements, text) = behind.split_at_checked(usize::from(length))?;
        Some((Udh { elements }, text))
    }

    /// The elements in order; ends before an element that runs past the header.
    pub fn elements(&self) -> Elements<'a> {
        Elements { rest: self.elements }
    }

    /// The data of the last element of that kind: the standard lets the last of several win.
    pub fn find(&self, id: u8) -> Option<&'a [u8]> {
        self.elements().filter(|element| element.id == id).last().map(|element| element.data)
    }

    /// The concatenation element, wherever it stands; impossible ones (part 0, part 3 of 2) are passed over
    /// and the last of several wins.
    pub fn part(&self) -> Option<Part> {
        self.elements().filter_map(concatenation).last()
    }

    /// Whether it says nothing but the place of a part, so that nothing is lost when parts are joined without it.
    pub fn is_only_part(&self) -> bool {
        let mut elements = self.elements();
        elements.by_ref().all(|element| concatenation(element).is_some()) && !elements.is_cut()
    }

    /// The ports of either width.
    pub fn ports(&self) -> Option<Ports> {
        let ports = |element: Element<'_>| match (element.id, element.data) {
            (PORTS_8, &[destination, source]) => {
                Some(Ports { destination: destination.into(), source: source.into() })
            }
            (PORTS_16, &[d0, d1, s0, s1]) => Some(Ports {
                destination: u16::from_be_bytes([d0, d1]),
                source: u16::from_be_bytes([s0, s1]),
            }),
            _ => None,
        };
        self.elements().filter_map(ports).last()
    }

    /// Identifier of the national language single shift table (element 0x24).
    pub fn single_shift_language(&self) -> Option<u8> {
        self.find(SINGLE_SHIFT).and_then(|data| data.first().copied())
    }

    /// Identifier of the national language locking shift table (element 0x25).
    pub fn locking_shift_language(&self) -> Option<u8> {
        self.find(LOCKING_SHIFT).and_then(|data| data.first().copied())
    }

    /// Octets that the header takes in the payload, its length octet included.
    pub fn octets(&self) -> usize {
        1 + self.elements.len()
    }
}

/// Iterator of [`Udh::elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl Elements<'_> {
    /// Whether octets are left that form no element; asked after the last element, it tells a cut one.
    pub fn is_cut(&self) -> bool {
        !self.rest.is_empty()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let [id, length, behind @ ..] = self.rest else { return None };
        let (data, rest) = behind.split_at_checked(usize::from(*length))?;
        self.rest = rest;
        Some(Element { id: *id, data })
    }
}

pub(super) const CONCATENATION_8: u8 = 0x00;
const PORTS_8: u8 = 0x04;
const PORTS_16: u8 = 0x05;
pub(super) const CONCATENATION_16: u8 = 0x08;
const SINGLE_SHIFT: u8 = 0x24;
const LOCKING_SHIFT: u8 = 0x25;

fn concatenation(element: Element<'_>) -> Option<Part> {
    match (element.id, element.data) {
        (CONCATENATION_8, &[reference, total, number]) => {
            Part { marking: Marking::Udh8, reference: reference.into(), total, number }.valid()
        }
        (CONCATENATION_16, &[high, low, total, number]) => {
            Part { marking: Marking::Udh16, reference: u16::from_be_bytes([high, low]), total, number }
                .valid()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_udh(payload: &[u8], expected: Option<(Marking, u16, u8, u8)>) {
        let part = Udh::split(payload).and_then(|(udh, _)| udh.part());
        let expected =
            expected.map(|(marking, reference, total, number)| Part { marking, reference, total, number });
        assert_eq!(part, expected, "{payload:02x?}");
    }

    #[test]
    fn concatenation_is_found_among_other_elements() {
        use Marking::{Udh8, Udh16};
        check_udh(&[], None);
        check_udh(&[5, 0, 3, 9, 2, 1], Some((Udh8, 9, 2, 1)));
        check_udh(&[6, 8, 4, 1, 2, 3, 3], Some((Udh16, 0x0102, 3, 3)));
        // Ports before it, languages behind it.
        check_udh(&[14, 5, 4, 0x0B, 0x84, 0x23, 0xF0, 0, 3, 9, 2, 2, 0x24, 1, 1], Some((Udh8, 9, 2, 2)));
        check_udh(&[5, 0, 3, 9, 2, 0], None); // no part 0
        check_udh(&[5, 0, 3, 9, 2, 3], None); // no part 3 of 2
        check_udh(&[5, 0, 2, 9, 2, 3], None); // wrong length, the rest is a cut element
        check_udh(&[6, 0, 3, 9, 2, 1], None); // header longer than the payload
        check_udh(&[10, 0, 3, 9, 2, 1, 0, 3, 8, 2, 2], Some((Udh8, 8, 2, 2))); // the last wins
        check_udh(&[9, 0, 3, 9, 2, 1, 5, 4, 0, 1], Some((Udh8, 9, 2, 1))); // cut behind it
    }

    #[test]
    fn a_header_of_a_part_alone_is_told_from_others() {
        let check = |payload: &[u8], expected| {
            let (udh, _) = Udh::split(payload).unwrap();
            assert_eq!(udh.is_only_part(), expected, "{payload:02x?}");
        };
        check(&[5, 0, 3, 9, 2, 1], true);
        check(&[6, 8, 4, 1, 2, 3, 3], true);
        check(&[0], true);
        check(&[8, 0, 3, 9, 2, 1, 0x24, 1, 1], false); // another alphabet
        check(&[11, 5, 4, 0x0B, 0x84, 0x23, 0xF0, 0, 3, 9, 2, 2], false); // ports
        check(&[7, 0, 3, 9, 2, 1, 5, 4], false); // cut
    }

    #[test]
    fn ports_and_languages_are_read() {
        let (udh, text) =
            Udh::split(&[12, 5, 4, 0x0B, 0x84, 0x23, 0xF0, 0x24, 1, 3, 0x25, 1, 2, b'x']).unwrap();
        assert_eq!(udh.ports(), Some(Ports { destination: 2948, source: 9200 }));
        assert_eq!((udh.single_shift_language(), udh.locking_shift_language()), (Some(3), Some(2)));
        assert_eq!((udh.octets(), text), (13, &b"x"[..]));
        let (udh, _) = Udh::split(&[4, 4, 2, 80, 81]).unwrap();
        assert_eq!(udh.ports(), Some(Ports { destination: 80, source: 81 }));
        let mut elements = Udh::split(&[3, 4, 9, 0]).unwrap().0.elements();
        assert_eq!(elements.next(), None);
        assert!(elements.is_cut());
    }
}
