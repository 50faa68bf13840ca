/// The site unbinds every session in good order (SMPP 3.4 §4.2). While it lasts, new binds get ESME_RBINDFAIL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unbind;
