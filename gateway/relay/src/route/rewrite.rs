//! What a route changes in the addresses of a message on its way to a vendor. The customer never sees it.

use super::without_plus;

/// Longest address of submit_sm in octets (SMPP 3.4 §5.2.8, §5.2.9).
pub(crate) const ADDRESS_LENGTH_MAX: usize = 20;
/// Octets of a PDU's header.
const HEADER_LENGTH: usize = 16;

/// An address to stand in for another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NewAddress {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan.
    pub npi: u8,
    /// 1 to 20 octets.
    pub digits: Box<str>,
}

/// The changes of one route.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Rewrite {
    /// Stands in for the source.
    pub source: Option<NewAddress>,
    /// Taken from the beginning of the destination, where it begins so.
    pub destination_strip: Box<str>,
    /// Put before what is left of it.
    pub destination_add: Box<str>,
}

impl Rewrite {
    /// True when nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.source.is_none() && self.destination_strip.is_empty() && self.destination_add.is_empty()
    }

    /// True when its parts fit into addresses.
    pub(super) fn is_valid(&self) -> bool {
        let fits = |text: &str| text.len() <= ADDRESS_LENGTH_MAX && !text.contains('\0');
        let digits = |text: &str| without_plus(text.as_bytes()).iter().all(u8::is_ascii_digit);
        let source = self.source.as_ref().is_none_or(|new| fits(&new.digits) && !new.digits.is_empty());
        let (strip, add) = (&self.destination_strip, &self.destination_add);
        source && fits(strip) && fits(add) && digits(strip) && digits(add)
    }

    /// Writes a submit_sm or data_sm with the new addresses into `out`; every other octet stays. False, with nothing
    /// of use in `out`, when the destination would be longer than an address may be, or the PDU is cut.
    pub(crate) fn write(&self, pdu: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some(addresses) = Addresses::of(pdu) else { return false };
        out.extend_from_slice(&pdu[..addresses.source.at]);
        match &self.source {
            Some(new) => {
                out.extend_from_slice(&[new.ton, new.npi]);
                out.extend_from_slice(new.digits.as_bytes());
                out.push(0);
            }
            None => out.extend_from_slice(&pdu[addresses.source.at..addresses.destination.at]),
        }
        let destination = addresses.destination;
        out.extend_from_slice(&pdu[destination.at..destination.at + 2]); // type of number, numbering plan
        let begin = out.len();
        self.write_destination(destination.digits, out);
        if out.len() - begin > ADDRESS_LENGTH_MAX {
            return false;
        }
        out.extend_from_slice(&pdu[destination.end - 1..]); // from its NUL on
        let length = out.len() as u32;
        out[..4].copy_from_slice(&length.to_be_bytes());
        true
    }

    /// A leading `+` stays only where nothing is changed.
    fn write_destination(&self, digits: &[u8], out: &mut Vec<u8>) {
        if self.destination_strip.is_empty() && self.destination_add.is_empty() {
            return out.extend_from_slice(digits);
        }
        let digits = without_plus(digits);
        let strip = without_plus(self.destination_strip.as_bytes());
        out.extend_from_slice(self.destination_add.as_bytes());
        out.extend_from_slice(digits.strip_prefix(strip).unwrap_or(digits));
    }
}

/// Where an address stands in a PDU.
#[derive(Clone, Copy)]
pub(crate) struct AddressAt<'a> {
    /// Of its type of number; the numbering plan and the digits follow.
    pub(crate) at: usize,
    /// Behind its NUL.
    pub(crate) end: usize,
    pub(crate) digits: &'a [u8],
}

/// Both addresses of a submit_sm, deliver_sm or data_sm, which begin alike: service_type, source, destination (SMPP
/// 3.4 §4.4.1, §4.6.1, §4.7.1).
#[derive(Clone, Copy)]
pub(crate) struct Addresses<'a> {
    pub(crate) source: AddressAt<'a>,
    pub(crate) destination: AddressAt<'a>,
}

impl<'a> Addresses<'a> {
    /// Nothing when the PDU is cut.
    pub(crate) fn of(pdu: &'a [u8]) -> Option<Self> {
        let service = pdu.get(HEADER_LENGTH..)?.iter().position(|octet| *octet == 0)?;
        let source = AddressAt::of(pdu, HEADER_LENGTH + service + 1)?;
        Some(Self { source, destination: AddressAt::of(pdu, source.end)? })
    }
}

impl<'a> AddressAt<'a> {
    fn of(pdu: &'a [u8], at: usize) -> Option<Self> {
        let behind = pdu.get(at + 2..)?;
        let length = behind.iter().position(|octet| *octet == 0)?;
        Some(Self { at, end: at + 2 + length + 1, digits: &behind[..length] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pdu(source: (u8, u8, &[u8]), destination: (u8, u8, &[u8]), rest: &[u8]) -> Vec<u8> {
        let mut pdu = vec![0; 16];
        pdu.extend_from_slice(b"CMT\0");
        for (ton, npi, digits) in [source, destination] {
            pdu.extend_from_slice(&[ton, npi]);
            pdu.extend_from_slice(digits);
            pdu.push(0);
        }
        pdu.extend_from_slice(rest);
        let length = pdu.len() as u32;
        pdu[..4].copy_from_slice(&length.to_be_bytes());
        pdu
    }

    #[test]
    fn only_the_addresses_change() {
        let new = NewAddress { ton: 5, npi: 0, digits: "ACME".into() };
        let check = |source: bool, strip: &str, add: &str, destination: &[u8], expected: Option<&[u8]>| {
            let rewrite = Rewrite {
                source: source.then(|| new.clone()),
                destination_strip: strip.into(),
                destination_add: add.into(),
            };
            assert!(rewrite.is_valid());
            let mut out = Vec::new();
            let done = rewrite.write(&pdu((1, 1, b"1202"), (1, 1, destination), b"rest\0\0"), &mut out);
            assert_eq!(done, expected.is_some());
            if let Some(expected) = expected {
                let source: (u8, u8, &[u8]) = if source { (5, 0, b"ACME") } else { (1, 1, b"1202") };
                assert_eq!(out, pdu(source, (1, 1, expected), b"rest\0\0"));
            }
        };
        check(true, "", "", b"+13125550111", Some(b"+13125550111"));
        check(false, "44", "0", b"447700900000", Some(b"07700900000"));
        check(false, "44", "0", b"+447700900000", Some(b"07700900000"));
        check(true, "44", "0", b"13125550111", Some(b"013125550111"));
        check(false, "", "+", b"13125550111", Some(b"+13125550111"));
        check(false, "", "0000000000", b"13125550111", None);
        assert!(!Rewrite::default().write(b"cut", &mut Vec::new()));
    }
}
