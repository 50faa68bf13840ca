//! Answers of a session: to the peer's requests, in the form of [`crate::response`], and what the peer's answers say.

use super::{SendError, Session, State};
use crate::field::{CommandId, CommandStatus};
use crate::pdu::Pdu;
use crate::response::write_refusal;
use crate::wire::Frame;

impl<T: Copy> Session<T> {
    /// Answers a request of the peer.
    pub fn respond(&mut self, sequence: u32, status: CommandStatus, pdu: &Pdu<'_>) -> Result<(), SendError> {
        if !pdu.command_id().is_response() || self.state == State::Unbound {
            return Err(SendError::Illegal);
        }
        self.unanswered_in = self.unanswered_in.saturating_sub(1);
        pdu.encode(status, sequence, self.outbox.append());
        self.outbox.seal();
        self.settle();
        Ok(())
    }

    /// Answers a request of the peer, named by its response, with nothing but a status, in the form that
    /// [`crate::response`] says.
    pub fn respond_empty(
        &mut self,
        command: CommandId,
        sequence: u32,
        status: CommandStatus,
    ) -> Result<(), SendError> {
        if !command.is_response() || self.state == State::Unbound {
            return Err(SendError::Illegal);
        }
        self.unanswered_in = self.unanswered_in.saturating_sub(1);
        self.write_refusal(command.request(), status, sequence);
        self.settle();
        Ok(())
    }

    /// Refuses a request as [`crate::response`] says: not at all where it has no response.
    pub(super) fn write_refusal(&mut self, request: CommandId, status: CommandStatus, sequence: u32) {
        write_refusal(request, status, sequence, self.outbox.append());
        self.outbox.seal();
    }
}

/// What an answer says. A generic_nack is never a yes, whatever status a sloppy peer puts into it.
pub(super) fn verdict(frame: Frame<'_>) -> CommandStatus {
    match (frame.command_id(), frame.command_status()) {
        (CommandId::GENERIC_NACK, CommandStatus::ESME_ROK) => CommandStatus::ESME_RUNKNOWNERR,
        (_, status) => status,
    }
}
