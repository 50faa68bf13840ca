//! Which PDU is legal in which state (SMPP 3.4 §2.3, table 2-1), as one table with a golden file.

use crate::field::CommandId;
use crate::pdu::BindKind;

/// Which end of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that binds.
    Esme,
    /// The end that is bound to.
    Smsc,
}

impl Role {
    /// The other end.
    pub const fn peer(self) -> Role {
        match self {
            Role::Esme => Role::Smsc,
            Role::Smsc => Role::Esme,
        }
    }
}

/// Where in its life a session is (SMPP 3.4 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Connected, not bound.
    Open,
    /// A bind was sent or received and is not answered.
    Binding,
    /// Bound: the ESME may submit.
    BoundTransmitter,
    /// Bound: the SMSC may deliver.
    BoundReceiver,
    /// Bound: both.
    BoundTransceiver,
    /// We want to end: our unbind follows once nothing is owed.
    Leaving,
    /// We asked to unbind; answers still come.
    Unbinding,
    /// The peer asked to unbind, or answered our unbind: the end follows once nothing is owed.
    Finishing,
    /// Over.
    Unbound,
}

impl State {
    /// Every state, in the order of the golden table.
    pub const ALL: [State; 9] = [
        State::Open,
        State::Binding,
        State::BoundTransmitter,
        State::BoundReceiver,
        State::BoundTransceiver,
        State::Leaving,
        State::Unbinding,
        State::Finishing,
        State::Unbound,
    ];

    /// The state that a bind of this kind leads to.
    pub const fn bound(kind: BindKind) -> State {
        match kind {
            BindKind::Transmitter => State::BoundTransmitter,
            BindKind::Receiver => State::BoundReceiver,
            BindKind::Transceiver => State::BoundTransceiver,
        }
    }

    /// Whether the session ends in order.
    pub const fn is_ending(self) -> bool {
        matches!(self, State::Leaving | State::Unbinding | State::Finishing)
    }

    /// Whether requests may flow.
    pub const fn is_bound(self) -> bool {
        matches!(self, State::BoundTransmitter | State::BoundReceiver | State::BoundTransceiver)
    }
}

/// Whether `sender` may send the request `command` in `state`. Responses are matched by the window instead. While we end
/// but the peer has not heard of it (`Leaving`, `Unbinding`), the peer may send what its bind allowed.
#[inline]
pub fn legal(sender: Role, command: CommandId, state: State) -> bool {
    use State::{Binding, BoundReceiver, BoundTransceiver, BoundTransmitter, Open};
    match (sender, command) {
        (Role::Esme, CommandId::SUBMIT_SM | CommandId::DATA_SM) => {
            matches!(state, BoundTransmitter | BoundTransceiver)
        }
        (Role::Smsc, CommandId::DELIVER_SM | CommandId::DATA_SM | CommandId::ALERT_NOTIFICATION) => {
            matches!(state, BoundReceiver | BoundTransceiver)
        }
        (
            Role::Esme,
            CommandId::SUBMIT_MULTI | CommandId::QUERY_SM | CommandId::CANCEL_SM | CommandId::REPLACE_SM,
        ) => matches!(state, BoundTransmitter | BoundTransceiver),
        (
            Role::Esme,
            CommandId::BIND_TRANSMITTER | CommandId::BIND_RECEIVER | CommandId::BIND_TRANSCEIVER,
        )
        | (Role::Smsc, CommandId::OUTBIND) => state == Open,
        (_, CommandId::UNBIND) => state.is_bound() || state.is_ending(),
        // The standard wants a bound session; peers send it earlier, and an answer never hurts.
        (_, CommandId::ENQUIRE_LINK) => {
            matches!(state, Open | Binding) || state.is_bound() || state.is_ending()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    const REQUESTS: [CommandId; 15] = [
        CommandId::BIND_TRANSMITTER,
        CommandId::BIND_RECEIVER,
        CommandId::BIND_TRANSCEIVER,
        CommandId::OUTBIND,
        CommandId::UNBIND,
        CommandId::SUBMIT_SM,
        CommandId::SUBMIT_MULTI,
        CommandId::DATA_SM,
        CommandId::DELIVER_SM,
        CommandId::QUERY_SM,
        CommandId::CANCEL_SM,
        CommandId::REPLACE_SM,
        CommandId::ENQUIRE_LINK,
        CommandId::ALERT_NOTIFICATION,
        CommandId::GENERIC_NACK,
    ];

    /// A change of the table shows as a change of `state.golden`.
    #[test]
    fn table_equals_its_golden_file() {
        let mut table = String::from("command | E = ESME may send, S = SMSC may send\n");
        for command in REQUESTS {
            table += &format!("{:<20}", command.name().unwrap_or("?"));
            for state in State::ALL {
                let esme = if legal(Role::Esme, command, state) { "E" } else { "-" };
                let smsc = if legal(Role::Smsc, command, state) { "S" } else { "-" };
                table += &format!(" {state:?}={esme}{smsc}");
            }
            table.push('\n');
        }
        assert_eq!(table, include_str!("state.golden"), "\n{table}");
    }
}
