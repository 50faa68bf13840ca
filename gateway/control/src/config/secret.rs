//! Secrets: taken from the file, from a file it names or from the environment; never printed.

use std::fmt;

/// A password in clear text. `Debug` and `Display` show that there is one, never what it is.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps a secret.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(bytes.into())
    }

    /// The secret itself, for the one place that compares or sends it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// How a customer's password is checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// The password itself; compared in constant time.
    Plain(Secret),
    /// An Argon2id hash in PHC form (`$argon2id$v=19$...`); redacted too, since it can be attacked off line.
    Hash(Secret),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {secret}"), "<redacted> <redacted>");
        assert!(!format!("{:?}", Credential::Plain(secret)).contains("hunter2"));
    }
}
