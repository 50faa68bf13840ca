//! How a node proves towards another that it is one, within the fields of a bind, which are as long as the standard allows
//! (SMPP 3.4 §4.1.1): the secret that all nodes share does not cross the wire.
//!
//! ```text
//!   system_id      ~node, which no customer may have
//!   address_range  vendor (16) slot (2) from (1) to (1) seconds since 1970 (4) nonce (6), 30 octets in base 64
//!   password       the first 8 and
//!   system_type    the other 12 characters of an HMAC-SHA-256 of address_range, cut to 120 bits, in base 64
//! ```
//!
//! A proof is good for one node, one minute and one use. What follows on the session is neither encrypted nor
//! signed, like all of SMPP: node links belong on a network that is trusted, or into a tunnel.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use relay::VendorId;
use ring::hmac;
use smpp::pdu::Bind;
use std::collections::VecDeque;
use std::fmt;
use subtle::ConstantTimeEq;

/// system_id of nodes. Shorter than 16 octets, and no customer may have it.
pub const NODE_SYSTEM_ID: &str = "~node";
/// Seconds that the clocks of two nodes may differ by, the bind's way included.
const CLOCKS_APART_MAX: u64 = 60;
/// Proofs remembered at once, 16 octets each; one more is refused. Nodes bind some times a second at most.
const SEEN_MAX: usize = 4096;
/// Characters of the proof: 15 octets in base 64.
const PROOF_LENGTH: usize = 20;
/// Those of them in the password.
const PASSWORD_LENGTH: usize = 8;
/// Octets of a claim.
const CLAIM_OCTETS: usize = 30;
/// Characters of address_range.
const CLAIM_LENGTH: usize = CLAIM_OCTETS / 3 * 4;
/// Bits of a nonce: no two proofs of one minute have one by chance.
const NONCE_MASK: u64 = 0xFFFF_FFFF_FFFF;

/// The secret that all nodes of one gateway share. Never shown.
#[derive(Clone)]
pub struct NodeSecret(hmac::Key);

impl NodeSecret {
    /// Of any length; 16 random octets are enough.
    pub fn new(secret: &[u8]) -> Self {
        NodeSecret(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

impl fmt::Debug for NodeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What a node wants of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NodeClaim {
    /// For this vendor.
    pub(crate) vendor: VendorId,
    /// On the bind of this slot.
    pub(crate) slot: u32,
    /// Who asks.
    pub(crate) from: u8,
    /// Whom.
    pub(crate) to: u8,
    /// By the asker's clock.
    pub(crate) unix_seconds: u64,
    /// Another one for each bind; 48 bits count.
    pub(crate) nonce: u64,
}

/// Why a claim is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doubt {
    /// Its fields are not those of a node's bind.
    Malformed,
    /// It was made without our secret.
    WrongProof,
    /// It is for another node.
    NotForUs,
    /// It is too old, or the clocks differ.
    Stale,
    /// It was made before this process began, which does not remember what was used before.
    OlderThanUs,
    /// It was used before, or too many were.
    Repeated,
}

impl Doubt {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Doubt::Malformed => "malformed",
            Doubt::WrongProof => "wrong_secret",
            Doubt::NotForUs => "for_another_node",
            Doubt::Stale => "clocks_differ",
            Doubt::OlderThanUs => "older_than_this_process",
            Doubt::Repeated => "repeated",
        }
    }
}

/// The texts of a bind's fields.
pub(crate) struct Proof {
    claim: [u8; CLAIM_LENGTH],
    proof: [u8; PROOF_LENGTH],
}

impl Proof {
    pub(crate) fn new(secret: &NodeSecret, claim: &NodeClaim) -> Proof {
        let NodeClaim { vendor, slot, from, to, unix_seconds, nonce } = claim;
        let mut octets = [0; CLAIM_OCTETS];
        octets[..16].copy_from_slice(&vendor.0.to_be_bytes());
        octets[16..18].copy_from_slice(&(*slot as u16).to_be_bytes()); // fewer than that by far, see the store's bound
        octets[18..20].copy_from_slice(&[*from, *to]);
        octets[20..24].copy_from_slice(&(*unix_seconds as u32).to_be_bytes()); // fits till 2106
        octets[24..].copy_from_slice(&(nonce & NONCE_MASK).to_be_bytes()[2..]);
        let claim = in_base_64(&octets);
        let proof = proof_of(secret, &claim);
        Proof { claim, proof }
    }

    pub(crate) fn bind(&self) -> Bind<'_> {
        Bind {
            system_id: NODE_SYSTEM_ID.as_bytes(),
            password: &self.proof[..PASSWORD_LENGTH],
            system_type: &self.proof[PASSWORD_LENGTH..],
            interface_version: smpp::limits::INTERFACE_VERSION,
            address_range: &self.claim,
            ..Bind::default()
        }
    }
}

/// What a node's bind claims, whether or not it is true.
pub(crate) fn claim_in(bind: &Bind<'_>) -> Option<NodeClaim> {
    let mut octets = [0; CLAIM_OCTETS];
    let length = STANDARD.decode_slice(bind.address_range, &mut octets).ok()?;
    if length != CLAIM_OCTETS {
        return None;
    }
    let number = |from: usize, to: usize| octets[from..to].iter().fold(0, |n, o| n << 8 | u64::from(*o));
    Some(NodeClaim {
        vendor: VendorId(u128::from(number(0, 8)) << 64 | u128::from(number(8, 16))),
        slot: number(16, 18) as u32,
        from: octets[18],
        to: octets[19],
        unix_seconds: number(20, 24),
        nonce: number(24, 30),
    })
}

/// Three octets give four characters; none is left over.
fn in_base_64<const LENGTH: usize>(octets: &[u8]) -> [u8; LENGTH] {
    debug_assert!(octets.len() * 4 == LENGTH * 3);
    let mut text = [0; LENGTH];
    let _ = STANDARD.encode_slice(octets, &mut text); // it has the room
    text
}

fn proof_of(secret: &NodeSecret, claim: &[u8]) -> [u8; PROOF_LENGTH] {
    let tag = hmac::sign(&secret.0, claim);
    in_base_64(&tag.as_ref()[..PROOF_LENGTH / 4 * 3])
}

/// Judges claims, and remembers them for as long as they could be used again.
#[derive(Debug)]
pub(crate) struct Judge {
    /// Seconds since 1970 at which this process began.
    started_at: u64,
    seen: VecDeque<(u64, u64)>,
}

impl Judge {
    pub(crate) fn new(started_at: u64) -> Self {
        Judge { started_at, seen: VecDeque::new() }
    }

    pub(crate) fn judge(
        &mut self,
        secret: &NodeSecret,
        node: u8,
        unix_seconds: u64,
        bind: &Bind<'_>,
    ) -> Result<NodeClaim, Doubt> {
        let claim = claim_in(bind).ok_or(Doubt::Malformed)?;
        let expected = proof_of(secret, bind.address_range);
        let (first, rest) = expected.split_at(PASSWORD_LENGTH);
        let is_right = first.ct_eq(bind.password) & rest.ct_eq(bind.system_type);
        if !bool::from(is_right) {
            return Err(Doubt::WrongProof);
        }
        if claim.to != node {
            return Err(Doubt::NotForUs);
        }
        if claim.unix_seconds.abs_diff(unix_seconds) > CLOCKS_APART_MAX {
            return Err(Doubt::Stale);
        }
        if claim.unix_seconds < self.started_at {
            return Err(Doubt::OlderThanUs);
        }
        self.seen.retain(|(made, _)| made + 2 * CLOCKS_APART_MAX >= unix_seconds);
        if self.seen.len() >= SEEN_MAX || self.seen.iter().any(|(_, nonce)| *nonce == claim.nonce) {
            return Err(Doubt::Repeated);
        }
        self.seen.push_back((claim.unix_seconds, claim.nonce));
        Ok(claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: NodeClaim = NodeClaim {
        vendor: VendorId(0x1234_5678_811c_9dc5_0123_4567_89ab_cdef),
        slot: 7,
        from: 1,
        to: 2,
        unix_seconds: 2_000_000_000,
        nonce: 0xba98_7654_3210,
    };

    #[test]
    fn a_proof_fits_the_fields_of_the_standard_and_is_believed_once() {
        let secret = NodeSecret::new(b"of all nodes");
        let proof = Proof::new(&secret, &CLAIM);
        let bind = proof.bind();
        assert_eq!((bind.password.len(), bind.system_type.len(), bind.address_range.len()), (8, 12, 40));
        assert!(bind.system_id.len() < smpp::limits::SYSTEM_ID_SIZE_MAX);
        let mut judge = Judge::new(CLAIM.unix_seconds);
        assert_eq!(judge.judge(&secret, 2, CLAIM.unix_seconds + 9, &bind), Ok(CLAIM));
        assert_eq!(judge.judge(&secret, 2, CLAIM.unix_seconds + 9, &bind), Err(Doubt::Repeated));
    }

    #[test]
    fn anything_else_is_doubted() {
        let secret = NodeSecret::new(b"of all nodes");
        let check = |claim: NodeClaim, with: &[u8], node: u8, later: u64, expected: Doubt| {
            let proof = Proof::new(&NodeSecret::new(with), &claim);
            let judged = Judge::new(0).judge(&secret, node, CLAIM.unix_seconds + later, &proof.bind());
            assert_eq!(judged, Err(expected));
        };
        check(CLAIM, b"of another", 2, 0, Doubt::WrongProof);
        check(CLAIM, b"", 2, 0, Doubt::WrongProof);
        check(CLAIM, b"of all nodes", 3, 0, Doubt::NotForUs);
        check(CLAIM, b"of all nodes", 2, 61, Doubt::Stale);
        check(NodeClaim { unix_seconds: 0, ..CLAIM }, b"of all nodes", 2, 0, Doubt::Stale);
        // One that an earlier process may have taken already.
        let proof = Proof::new(&secret, &CLAIM);
        let judged =
            Judge::new(CLAIM.unix_seconds + 1).judge(&secret, 2, CLAIM.unix_seconds + 2, &proof.bind());
        assert_eq!(judged, Err(Doubt::OlderThanUs));
        // Another claim under a proof that is right for its own.
        let (right, other) =
            (Proof::new(&secret, &CLAIM), Proof::new(&secret, &NodeClaim { slot: 8, ..CLAIM }));
        let bind = Bind { address_range: &other.claim, ..right.bind() };
        assert_eq!(Judge::new(0).judge(&secret, 2, CLAIM.unix_seconds, &bind), Err(Doubt::WrongProof));
        for range in
            [&b""[..], &[b'-'; 40], &[b'1'; 39], "é23456789012345678901234567890123456789".as_bytes()]
        {
            let bind = Bind { address_range: range, ..right.bind() };
            assert_eq!(Judge::new(0).judge(&secret, 2, CLAIM.unix_seconds, &bind), Err(Doubt::Malformed));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let secret = NodeSecret::new(b"of all nodes");
        let mut judge = Judge::new(0);
        for nonce in 0..=SEEN_MAX as u64 {
            let proof = Proof::new(&secret, &NodeClaim { nonce, ..CLAIM });
            let judged = judge.judge(&secret, 2, CLAIM.unix_seconds, &proof.bind());
            assert_eq!(judged.is_ok(), nonce < SEEN_MAX as u64);
        }
        let later = CLAIM.unix_seconds + 200;
        let proof = Proof::new(&secret, &NodeClaim { unix_seconds: later, ..CLAIM });
        assert!(judge.judge(&secret, 2, later, &proof.bind()).is_ok(), "the old ones are forgotten");
    }
}
