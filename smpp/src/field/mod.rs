//! The typed octets of SMPP 3.4 §5.1 and §5.2. Numbers of the wire accept the unknown; names are constants.

mod address;
mod command;
mod command_status;
mod data_coding;
mod esm_class;
mod message_state;
mod registered_delivery;
pub mod time;

pub use address::{Address, Npi, Ton};
pub use command::CommandId;
pub use command_status::{CommandStatus, StatusClass};
pub use data_coding::{Alphabet, DataCoding, MessageWaiting, WaitingKind};
pub use esm_class::{EsmClass, MessageType, MessagingMode};
pub use message_state::MessageState;
pub use registered_delivery::{ReceiptWanted, RegisteredDelivery};
