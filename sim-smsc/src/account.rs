//! Who may bind, and how often.

use smpp::field::CommandStatus;
use smpp::pdu::{Bind, BindKind};

/// One account of a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRule {
    /// Name in the bind.
    pub system_id: String,
    /// `None` lets every password in.
    pub password: Option<String>,
    /// Kinds of bind that are allowed.
    pub kinds: Kinds,
    /// Binds at the same time.
    pub binds_max: u32,
    /// command_status of one bind too many.
    pub over_bind: u32,
}

/// Kinds of bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// bind_transmitter.
    pub transmitter: bool,
    /// bind_receiver.
    pub receiver: bool,
    /// bind_transceiver.
    pub transceiver: bool,
}

impl Kinds {
    /// Every kind.
    pub const ALL: Kinds = Kinds { transmitter: true, receiver: true, transceiver: true };

    fn allow(&self, kind: BindKind) -> bool {
        match kind {
            BindKind::Transmitter => self.transmitter,
            BindKind::Receiver => self.receiver,
            BindKind::Transceiver => self.transceiver,
        }
    }
}

/// Finds the account of a bind and judges it but for the number of binds.
pub(crate) fn authenticate(
    accounts: &[AccountRule],
    kind: BindKind,
    bind: &Bind<'_>,
) -> Result<usize, CommandStatus> {
    let index = accounts
        .iter()
        .position(|account| account.system_id.as_bytes() == bind.system_id)
        .ok_or(CommandStatus::ESME_RINVSYSID)?;
    let account = &accounts[index];
    if account.password.as_ref().is_some_and(|password| password.as_bytes() != bind.password) {
        return Err(CommandStatus::ESME_RINVPASWD);
    }
    if !account.kinds.allow(kind) {
        return Err(CommandStatus::ESME_RBINDFAIL);
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::bind;

    #[track_caller]
    fn check(system_id: &str, password: &str, kind: BindKind, expected: Result<usize, CommandStatus>) {
        let account = |system_id: &str, password: Option<&str>, kinds| AccountRule {
            system_id: system_id.into(),
            password: password.map(Into::into),
            kinds,
            binds_max: 2,
            over_bind: 5,
        };
        let accounts = [
            account("open", None, Kinds::ALL),
            account("gw01", Some("secret"), Kinds { receiver: false, ..Kinds::ALL }),
        ];
        assert_eq!(authenticate(&accounts, kind, &bind(system_id, password)), expected);
    }

    #[test]
    fn binds_are_judged() {
        check("open", "anything", BindKind::Receiver, Ok(0));
        check("gw01", "secret", BindKind::Transceiver, Ok(1));
        check("gw01", "secret", BindKind::Receiver, Err(CommandStatus::ESME_RBINDFAIL));
        check("gw01", "Secret", BindKind::Transceiver, Err(CommandStatus::ESME_RINVPASWD));
        check("gw02", "secret", BindKind::Transceiver, Err(CommandStatus::ESME_RINVSYSID));
        check("", "", BindKind::Transceiver, Err(CommandStatus::ESME_RINVSYSID));
    }
}
