//! `command_status` with its full table (SMPP 3.4 §5.1.3).

use core::fmt;

/// `command_status`: zero in requests, the verdict in responses. Values outside the table travel as they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CommandStatus(pub u32);

/// What a status asks of the sender.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StatusClass {
    /// Accepted.
    Ok,
    /// Refused now; the same request may be taken later or elsewhere.
    Temporary,
    /// Refused for being too fast: wait before the next request on this bind.
    Throttled,
    /// Refused for good. Values outside the table count as this, since nothing says that a second try is
    /// welcome.
    Permanent,
}

impl CommandStatus {
    /// Whether this is ESME_ROK.
    #[inline]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:08X}", self.0),
        }
    }
}

macro_rules! statuses {
    ($($constant:ident = $value:literal $class:ident $meaning:literal,)+) => {
        impl CommandStatus {
            $(#[doc = concat!($meaning, ".")] pub const $constant: CommandStatus = CommandStatus($value);)+

            /// Every status of the table.
            pub const ALL: &'static [CommandStatus] = &[$(CommandStatus::$constant),+];

            /// The standard's name, where it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some(stringify!($constant)),)+ _ => None }
            }

            /// What it asks of the sender.
            pub const fn class(self) -> StatusClass {
                match self.0 { $($value => StatusClass::$class,)+ _ => StatusClass::Permanent }
            }

            /// The status called `name`, such as `ESME_RTHROTTLED`.
            pub fn from_name(name: &str) -> Option<CommandStatus> {
                match name { $(stringify!($constant) => Some(CommandStatus::$constant),)+ _ => None }
            }
        }
    };
}

statuses! {
    ESME_ROK              = 0x00 Ok        "No error",
    ESME_RINVMSGLEN       = 0x01 Permanent "Message length is invalid",
    ESME_RINVCMDLEN       = 0x02 Permanent "Command length is invalid",
    ESME_RINVCMDID        = 0x03 Permanent "Invalid command id",
    ESME_RINVBNDSTS       = 0x04 Temporary "Incorrect bind status for given command",
    ESME_RALYBND          = 0x05 Temporary "Already in bound state",
    ESME_RINVPRTFLG       = 0x06 Permanent "Invalid priority flag",
    ESME_RINVREGDLVFLG    = 0x07 Permanent "Invalid registered delivery flag",
    ESME_RSYSERR          = 0x08 Temporary "System error",
    ESME_RINVSRCADR       = 0x0A Permanent "Invalid source address",
    ESME_RINVDSTADR       = 0x0B Permanent "Invalid destination address",
    ESME_RINVMSGID        = 0x0C Permanent "Message id is invalid",
    ESME_RBINDFAIL        = 0x0D Temporary "Bind failed",
    ESME_RINVPASWD        = 0x0E Permanent "Invalid password",
    ESME_RINVSYSID        = 0x0F Permanent "Invalid system id",
    ESME_RCANCELFAIL      = 0x11 Permanent "Cancel failed",
    ESME_RREPLACEFAIL     = 0x13 Permanent "Replace failed",
    ESME_RMSGQFUL         = 0x14 Temporary "Message queue full: backlog, not rate",
    ESME_RINVSERTYP       = 0x15 Permanent "Invalid service type",
    ESME_RINVNUMDESTS     = 0x33 Permanent "Invalid number of destinations",
    ESME_RINVDLNAME       = 0x34 Permanent "Invalid distribution list name",
    ESME_RINVDESTFLAG     = 0x40 Permanent "Destination flag is invalid",
    ESME_RINVSUBREP       = 0x42 Permanent "Invalid submit-with-replace request",
    ESME_RINVESMCLASS     = 0x43 Permanent "Invalid esm_class",
    ESME_RCNTSUBDL        = 0x44 Permanent "Cannot submit to distribution list",
    ESME_RSUBMITFAIL      = 0x45 Temporary "submit_sm or submit_multi failed",
    ESME_RINVSRCTON       = 0x48 Permanent "Invalid source address type of number",
    ESME_RINVSRCNPI       = 0x49 Permanent "Invalid source address numbering plan",
    ESME_RINVDSTTON       = 0x50 Permanent "Invalid destination address type of number",
    ESME_RINVDSTNPI       = 0x51 Permanent "Invalid destination address numbering plan",
    ESME_RINVSYSTYP       = 0x53 Permanent "Invalid system_type",
    ESME_RINVREPFLAG      = 0x54 Permanent "Invalid replace_if_present flag",
    ESME_RINVNUMMSGS      = 0x55 Permanent "Invalid number of messages",
    ESME_RTHROTTLED       = 0x58 Throttled "Throttling: allowed message limits exceeded",
    ESME_RINVSCHED        = 0x61 Permanent "Invalid scheduled delivery time",
    ESME_RINVEXPIRY       = 0x62 Permanent "Invalid validity period",
    ESME_RINVDFTMSGID     = 0x63 Permanent "Predefined message invalid or not found",
    ESME_RX_T_APPN        = 0x64 Temporary "Receiver temporary application error",
    ESME_RX_P_APPN        = 0x65 Permanent "Receiver permanent application error",
    ESME_RX_R_APPN        = 0x66 Permanent "Receiver rejects the message",
    ESME_RQUERYFAIL       = 0x67 Temporary "query_sm failed",
    ESME_RINVOPTPARSTREAM = 0xC0 Permanent "Error in the optional part of the PDU body",
    ESME_ROPTPARNOTALLWD  = 0xC1 Permanent "Optional parameter not allowed",
    ESME_RINVPARLEN       = 0xC2 Permanent "Invalid parameter length",
    ESME_RMISSINGOPTPARAM = 0xC3 Permanent "Expected optional parameter missing",
    ESME_RINVOPTPARAMVAL  = 0xC4 Permanent "Invalid optional parameter value",
    ESME_RDELIVERYFAILURE = 0xFE Temporary "Delivery failure of a data_sm in transaction mode",
    ESME_RUNKNOWNERR      = 0xFF Temporary "Unknown error",
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn table_is_ordered_and_named() {
        assert_eq!(CommandStatus::ALL.len(), 48);
        assert!(CommandStatus::ALL.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for status in CommandStatus::ALL {
            assert_eq!(CommandStatus::from_name(status.name().unwrap()), Some(*status));
        }
    }

    #[test]
    fn classes_drive_retry() {
        let check = |status: u32, class| assert_eq!(CommandStatus(status).class(), class);
        check(0x00, StatusClass::Ok);
        check(0x58, StatusClass::Throttled);
        check(0x14, StatusClass::Temporary);
        check(0x0B, StatusClass::Permanent);
        check(0x400, StatusClass::Permanent);
    }

    #[test]
    fn unknown_values_print_as_numbers() {
        assert_eq!(CommandStatus(0x411).to_string(), "0x00000411");
        assert_eq!(CommandStatus::ESME_RTHROTTLED.to_string(), "ESME_RTHROTTLED");
    }
}
