//! Seeded bugs, one for each promise: the simulation must find every one. Only with the feature `mutations`; without
//! it [`mutated`] is the constant `false` and nothing of this file is compiled in.

/// A bug that can be switched on with `Relay::mutate`.
#[cfg(feature = "mutations")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    /// The customer is told yes when its message is handed to a link.
    AnswerBeforeVendor,
    /// A customer is told no although the outcome is unknown.
    NoForUnknown,
    /// A message of unknown outcome is sent again whatever the policy says.
    UnknownAsUnsent,
    /// The correlation goes before the customer has taken its receipt.
    ForgetEarly,
    /// A correlation is never dropped.
    NeverForget,
    /// Ids of all vendors are looked up as if they were of one.
    VendorlessMatch,
    /// A delivery whose owner is absent goes to anybody.
    DeliverToAnyone,
    /// What was on a session that closes is dropped.
    DropOnClose,
    /// The vendor is acknowledged while the store still parks.
    AcknowledgeBeforeParked,
    /// The customer is answered before the store has its correlation, in strict order too.
    AnswerBeforeKept,
    /// The ids of a new life begin where those of the last one began.
    ReuseIds,
    /// A window slot does not come back with the answer.
    LeakSlot,
    /// A receipt that no message fits yet is acknowledged and dropped.
    DropEarly,
    /// What waits for a slot is taken from the wrong end.
    LastFirst,
    /// The word that something was parked elsewhere is not heeded.
    IgnoreHints,
    /// A message that waited too long is dropped without an answer.
    ForgetExpired,
    /// A message of store and forward is acknowledged before the spool has it.
    AcknowledgeBeforeDurable,
    /// A spooled message that no vendor took now is dropped.
    DropDeferred,
    /// The last part of an MO is delivered alone as well as in the whole.
    PartTwice,
    /// Parts go to the default owner of their number, whatever their keyword is.
    PartToDefault,
    /// What was parked goes out with what is urgent last.
    UrgentLast,
    /// The word that no correlation can be kept is not heeded.
    IgnoreRoom,
    /// Numbers of other customers are taken as sources.
    SourceOfAnyone,
    /// The newest message of an id gets its receipts, whatever number they speak of.
    IdIsProof,
    /// A late answer of another shard is taken for the message wherever it has gone since.
    MatchByMessage,
    /// Parts of one message go each its own way.
    PartsApart,
    /// A spooled message is sent again however many copies are of unknown outcome.
    CopiesWithoutBound,
    /// What a customer refuses is offered every second.
    RefusedAtOnce,
    /// What a closed link's list does not name is not looked for.
    TrustLists,
    /// A customer is refused although the spool may have its message.
    RefuseLate,
    /// Under the policy `fail` a spooled message goes before the spool has noted that.
    SendUnnoted,
}

#[cfg(feature = "mutations")]
impl Mutation {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::AnswerBeforeVendor,
        Self::NoForUnknown,
        Self::UnknownAsUnsent,
        Self::ForgetEarly,
        Self::NeverForget,
        Self::VendorlessMatch,
        Self::DeliverToAnyone,
        Self::DropOnClose,
        Self::AcknowledgeBeforeParked,
        Self::AnswerBeforeKept,
        Self::ReuseIds,
        Self::LeakSlot,
        Self::DropEarly,
        Self::LastFirst,
        Self::IgnoreHints,
        Self::ForgetExpired,
        Self::AcknowledgeBeforeDurable,
        Self::DropDeferred,
        Self::PartTwice,
        Self::PartToDefault,
        Self::UrgentLast,
        Self::IgnoreRoom,
        Self::SourceOfAnyone,
        Self::IdIsProof,
        Self::MatchByMessage,
        Self::PartsApart,
        Self::CopiesWithoutBound,
        Self::RefusedAtOnce,
        Self::TrustLists,
        Self::RefuseLate,
        Self::SendUnnoted,
    ];
}

#[cfg(feature = "mutations")]
impl crate::Relay {
    /// Switches a bug on.
    pub fn mutate(&mut self, mutation: Mutation) {
        self.mutation = Some(mutation);
        if mutation == Mutation::ReuseIds {
            let options = &self.options;
            let second = core::time::Duration::from_secs(options.started_at.as_secs());
            self.ids =
                smpp::text::message_id::GatewayIdSource::starting_at(options.node, options.shard.0, second);
        }
    }

    /// A session of anybody with a free slot.
    pub(crate) fn anybody(&mut self) -> Option<crate::message::Key> {
        if self.mutation != Some(Mutation::DeliverToAnyone) {
            return None;
        }
        self.accounts.places().find_map(|place| match self.accounts[place].receiver(&self.sessions, &[]) {
            crate::account::Receiver::Free(session) => Some(session),
            _ => None,
        })
    }

    /// Answers yes without having heard a vendor, or the spool; the real answer finds nobody.
    pub(crate) fn answer_at_once(&mut self, key: crate::message::Key, mutation: Mutation) {
        if self.mutation != Some(mutation) {
            return;
        }
        let message = &mut self.messages[key];
        if let crate::open::Origin::Customer { link, sequence, session } = &mut message.origin {
            *session = crate::message::Key::NONE;
            self.outputs.push_back(crate::Output::AnswerSubmit {
                link: *link,
                sequence: *sequence,
                command: message.command.response(),
                status: smpp::field::CommandStatus::ESME_ROK,
                message_id: Some(message.gateway_id),
            });
        }
    }
}

/// Whether this bug is switched on.
#[cfg(feature = "mutations")]
macro_rules! mutated {
    ($relay:expr, $mutation:ident) => {
        $relay.mutation == Some(crate::mutation::Mutation::$mutation)
    };
}

/// Whether this bug is switched on: there are none in this build.
#[cfg(not(feature = "mutations"))]
macro_rules! mutated {
    ($relay:expr, $mutation:ident) => {
        false
    };
}

pub(crate) use mutated;
