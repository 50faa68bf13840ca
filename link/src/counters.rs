//! What happened on the links of one hub; plain integers.

/// Counts since the hub was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Links opened, either way round.
    pub opened: u64,
    /// Links closed.
    pub closed: u64,
    /// Connections refused because as many links stand as are allowed.
    pub refused_full: u64,
    /// PDUs received.
    pub pdus_in: u64,
    /// Receives from the kernel that brought octets.
    pub reads: u64,
    /// Octets received.
    pub octets_in: u64,
    /// Sends to the kernel.
    pub writes: u64,
    /// Octets sent.
    pub octets_out: u64,
    /// Sends that the kernel could not take whole.
    pub blocked: u64,
    /// Links closed because their bytes were not PDUs.
    pub framing_errors: u64,
    /// Bodies that could not be decoded.
    pub undecodable: u64,
    /// Requests in a state in which they are not allowed.
    pub illegal_requests: u64,
    /// Commands not known to the standard.
    pub unknown_commands: u64,
    /// Responses whose request had expired or never was.
    pub late_responses: u64,
    /// Requests that expired unanswered.
    pub expired: u64,
    /// Sessions that ended in order without waiting longer for what was still owed.
    pub overdue_ends: u64,
    /// Peers that said more behind their bind before it was answered.
    pub pipelined_binds: u64,
    /// Requests not sent because [`crate::limits::OUTBOX_MAX`] octets were waiting.
    pub outbox_full: u64,
    /// Panics while a link's bytes were handled.
    pub panics: u64,
}
