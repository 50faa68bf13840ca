//! `data_coding` (SMPP 3.4 §5.2.19) with the GSM 03.38 groups that peers also send.

/// `data_coding`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct DataCoding(pub u8);

/// How the octets of the text are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Alphabet {
    /// The peer's default: GSM 7-bit, ASCII or Latin-1 by agreement.
    PeerDefault,
    /// GSM 7-bit default alphabet, said by a GSM group.
    Gsm7,
    /// IA5, that is ASCII.
    Ascii,
    /// Octets without meaning.
    Binary,
    /// ISO 8859-1.
    Latin1,
    /// JIS X 0208-1990.
    Jis,
    /// ISO 8859-5.
    Cyrillic,
    /// ISO 8859-8.
    Hebrew,
    /// UCS-2, big endian; peers send UTF-16 in it.
    Ucs2,
    /// Pictogram encoding.
    Pictogram,
    /// ISO-2022-JP, music codes.
    Iso2022Jp,
    /// Extended kanji JIS X 0212-1990.
    ExtendedKanji,
    /// KS C 5601.
    KsC5601,
    /// Reserved by the standard.
    Reserved,
}

/// What a message-waiting group indicates.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MessageWaiting {
    /// Whether the text is to be stored, or only the indication shown.
    pub store: bool,
    /// Whether the indication is switched on, or off.
    pub active: bool,
    /// What waits.
    pub kind: WaitingKind,
}

/// What waits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WaitingKind {
    /// Voice mail.
    Voicemail,
    /// Fax.
    Fax,
    /// E-mail.
    Email,
    /// Something else.
    Other,
}

impl DataCoding {
    /// The peer's default alphabet.
    pub const DEFAULT: DataCoding = DataCoding(0x00);
    /// IA5, that is ASCII.
    pub const ASCII: DataCoding = DataCoding(0x01);
    /// Octets without meaning (0x04; 0x02 means the same).
    pub const BINARY: DataCoding = DataCoding(0x04);
    /// ISO 8859-1.
    pub const LATIN1: DataCoding = DataCoding(0x03);
    /// UCS-2.
    pub const UCS2: DataCoding = DataCoding(0x08);

    /// How the octets of the text are to be read. 0x10 to 0xBF are reserved in SMPP 3.4; up to 0x7F peers mean
    /// the general group of GSM 03.38 §4 by them, and so they are read.
    pub const fn alphabet(self) -> Alphabet {
        match self.0 {
            0x00 => Alphabet::PeerDefault,
            0x01 => Alphabet::Ascii,
            0x02 | 0x04 => Alphabet::Binary,
            0x03 => Alphabet::Latin1,
            0x05 => Alphabet::Jis,
            0x06 => Alphabet::Cyrillic,
            0x07 => Alphabet::Hebrew,
            0x08 => Alphabet::Ucs2,
            0x09 => Alphabet::Pictogram,
            0x0A => Alphabet::Iso2022Jp,
            0x0D => Alphabet::ExtendedKanji,
            0x0E => Alphabet::KsC5601,
            0x10..=0x7F if self.is_compressed() => Alphabet::Binary,
            0x10..=0x7F => match self.0 & 0x0C {
                0x00 => Alphabet::Gsm7,
                0x04 => Alphabet::Binary,
                0x08 => Alphabet::Ucs2,
                _ => Alphabet::Reserved,
            },
            0xC0..=0xDF => Alphabet::Gsm7,
            0xE0..=0xEF => Alphabet::Ucs2,
            0xF0..=0xFF if self.0 & 0x04 == 0 => Alphabet::Gsm7,
            0xF0..=0xFF => Alphabet::Binary,
            _ => Alphabet::Reserved,
        }
    }

    /// The GSM message class 0 to 3, where one is said; 0 is a flash message.
    pub const fn message_class(self) -> Option<u8> {
        match self.0 {
            0xF0..=0xFF => Some(self.0 & 0x03),
            0x10..=0x7F if self.0 & 0x10 != 0 => Some(self.0 & 0x03),
            _ => None,
        }
    }

    /// Whether the text is compressed (general group of GSM 03.38 §4, bit 5).
    pub const fn is_compressed(self) -> bool {
        matches!(self.0, 0x20..=0x3F | 0x60..=0x7F)
    }

    /// The message-waiting indication, where the group is one.
    pub const fn message_waiting(self) -> Option<MessageWaiting> {
        let store = match self.0 & 0xF0 {
            0xC0 => false,
            0xD0 | 0xE0 => true,
            _ => return None,
        };
        let kind = match self.0 & 0x03 {
            0 => WaitingKind::Voicemail,
            1 => WaitingKind::Fax,
            2 => WaitingKind::Email,
            _ => WaitingKind::Other,
        };
        Some(MessageWaiting { store, active: self.0 & 0x08 != 0, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphabets_and_classes() {
        let check = |octet, alphabet, class| {
            let coding = DataCoding(octet);
            assert_eq!((coding.alphabet(), coding.message_class()), (alphabet, class), "0x{octet:02X}");
        };
        check(0x00, Alphabet::PeerDefault, None);
        check(0x01, Alphabet::Ascii, None);
        check(0x02, Alphabet::Binary, None);
        check(0x03, Alphabet::Latin1, None);
        check(0x08, Alphabet::Ucs2, None);
        check(0x0B, Alphabet::Reserved, None);
        check(0x10, Alphabet::Gsm7, Some(0));
        check(0x18, Alphabet::Ucs2, Some(0));
        check(0x15, Alphabet::Binary, Some(1));
        check(0x20, Alphabet::Binary, None);
        check(0x80, Alphabet::Reserved, None);
        check(0xC8, Alphabet::Gsm7, None);
        check(0xE0, Alphabet::Ucs2, None);
        check(0xF0, Alphabet::Gsm7, Some(0));
        check(0xF6, Alphabet::Binary, Some(2));
    }

    #[test]
    fn waiting_groups() {
        let check = |octet, expected| assert_eq!(DataCoding(octet).message_waiting(), expected);
        check(0x00, None);
        check(0xF8, None);
        check(0xC0, Some(MessageWaiting { store: false, active: false, kind: WaitingKind::Voicemail }));
        check(0xDA, Some(MessageWaiting { store: true, active: true, kind: WaitingKind::Email }));
        check(0xEB, Some(MessageWaiting { store: true, active: true, kind: WaitingKind::Other }));
    }
}
