//! Whether a customer's password is right. Hashing takes tens of milliseconds and megabytes, so it happens on a few
//! threads of its own behind a bounded queue; what was right once is remembered, so that a storm of binds after an
//! outage costs one hash for each customer.
//!
//! An unknown system_id is treated as a known one with a wrong password, hashing included, so that names cannot be
//! guessed by the clock.

use crate::config::Credential;
use arc_swap::ArcSwap;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use relay::AccountId;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use subtle::ConstantTimeEq;

/// Bounds of the side pool.
#[derive(Clone, Copy, Debug)]
pub struct AuthOptions {
    /// Threads that hash; each is busy for tens of milliseconds and some 20 MiB for each password not seen before.
    pub threads: usize,
    /// Binds that may wait for a thread; one more is told to come back later. 1024 are about half a minute.
    pub queue_max: usize,
}

impl Default for AuthOptions {
    fn default() -> Self {
        AuthOptions { threads: 1, queue_max: 1024 }
    }
}

/// What is said of a bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The account, and its password is right.
    Right(AccountId),
    /// No such system_id, or not its password: the difference is nobody's business.
    Wrong,
    /// Too many wait; try again.
    Busy,
}

/// Counters of authentication.
#[derive(Default, Debug)]
pub struct AuthCounters {
    /// Right passwords.
    pub right: AtomicU64,
    /// Wrong passwords and unknown ids.
    pub wrong: AtomicU64,
    /// Binds sent away because the queue was full.
    pub busy: AtomicU64,
    /// Hashes computed.
    pub hashed: AtomicU64,
}

/// Checks passwords. Clones share one pool, which ends with the last of them.
#[derive(Clone)]
pub struct Authenticator {
    shared: Arc<Shared>,
    queue: SyncSender<Job>,
}

/// Account, system_id and proof of a customer.
pub type AccountCredential = (AccountId, Box<[u8]>, Credential);

/// Everybody's credentials as one configuration has them.
struct Credentials {
    /// Which publication they came with; 0 at the start.
    generation: u64,
    accounts: HashMap<Box<[u8]>, (AccountId, Credential)>,
    /// Stands in for unknown ids; `None` where no customer has a hash, so that nothing takes the time of one.
    dummy: Option<String>,
}

impl Credentials {
    fn new(credentials: Vec<AccountCredential>, generation: u64) -> Credentials {
        let hashed = credentials.iter().any(|(_, _, credential)| matches!(credential, Credential::Hash(_)));
        let dummy = hashed.then(|| Argon2::default().hash_password_with_salt(b"", DUMMY_SALT).ok()).flatten();
        let accounts = credentials.into_iter().map(|(id, name, credential)| (name, (id, credential)));
        Credentials { generation, accounts: accounts.collect(), dummy: dummy.map(|hash| hash.to_string()) }
    }
}

struct Shared {
    credentials: ArcSwap<Credentials>,
    verified: Mutex<HashSet<(u64, u64)>>,
    /// Two hashers with keys of their own, made at random for this process.
    keys: (RandomState, RandomState),
    counters: AuthCounters,
}

struct Job {
    system_id: Box<[u8]>,
    password: Box<[u8]>,
    answer: Box<dyn FnOnce(Verdict, u64) + Send>,
}

/// Verified credentials remembered; 16 bytes each. When it is full it is emptied: then each is hashed once more.
const VERIFIED_MAX: usize = 100_000;
/// Longest password compared, bytes; a longer one is wrong. The longest a configuration takes is 64.
const PASSWORD_MAX: usize = 128;
/// Salt of the hash that nobody's password has.
const DUMMY_SALT: &[u8] = b"nobody's salt";

impl Authenticator {
    /// Starts the pool.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        credentials: Vec<AccountCredential>,
        options: AuthOptions,
    ) -> io::Result<(Authenticator, Vec<JoinHandle<()>>)> {
        let shared = Arc::new(Shared {
            credentials: ArcSwap::from_pointee(Credentials::new(credentials, 0)),
            verified: Mutex::default(),
            keys: (RandomState::new(), RandomState::new()),
            counters: AuthCounters::default(),
        });
        let (queue, jobs) = sync_channel(options.queue_max);
        let jobs = Arc::new(Mutex::new(jobs));
        let threads = (0..options.threads.max(1)).map(|number| {
            let (shared, jobs) = (shared.clone(), jobs.clone());
            thread::Builder::new().name(format!("auth-{number}")).spawn(move || shared.work(&jobs))
        });
        let threads = threads.collect::<io::Result<Vec<_>>>()?;
        Ok((Authenticator { shared, queue }, threads))
    }

    /// Judges by these credentials from now on, without a pause; `generation` names them. May take the time of a hash.
    pub fn replace(&self, credentials: Vec<AccountCredential>, generation: u64) {
        self.shared.credentials.store(Arc::new(Credentials::new(credentials, generation)));
    }

    /// Which credentials it judges by.
    pub fn generation(&self) -> u64 {
        self.shared.credentials.load().generation
    }

    /// Judges one bind; `answer` is called once, at once or from a thread of the pool, and must not block. It is told by
    /// which credentials was judged.
    pub fn ask(&self, system_id: &[u8], password: &[u8], answer: impl FnOnce(Verdict, u64) + Send + 'static) {
        let credentials = self.shared.credentials.load();
        if let Some(verdict) = self.shared.judge_quickly(&credentials, system_id, password) {
            return answer(self.shared.count(verdict), credentials.generation);
        }
        let job = Job { system_id: system_id.into(), password: password.into(), answer: Box::new(answer) };
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = self.queue.try_send(job) {
            (job.answer)(self.shared.count(Verdict::Busy), credentials.generation);
        }
    }

    /// Counters as they stand.
    pub fn counters(&self) -> &AuthCounters {
        &self.shared.counters
    }
}

/// Whether a hash is one that [`Authenticator`] can check: Argon2id in PHC form with parameters that exist.
pub(crate) fn is_usable_hash(hash: &[u8]) -> bool {
    let parsed = std::str::from_utf8(hash).ok().and_then(|hash| PasswordHash::new(hash).ok());
    parsed.is_some_and(|parsed| {
        let is_complete = parsed.salt.is_some() && parsed.hash.is_some();
        is_complete && parsed.algorithm.as_str() == "argon2id" && argon2::Params::try_from(&parsed).is_ok()
    })
}

impl Shared {
    /// The verdict that needs no hash.
    fn judge_quickly(&self, by: &Credentials, system_id: &[u8], password: &[u8]) -> Option<Verdict> {
        match by.accounts.get(system_id) {
            Some((account, Credential::Plain(secret))) => Some(match is_same(secret.expose(), password) {
                true => Verdict::Right(*account),
                false => Verdict::Wrong,
            }),
            Some((account, Credential::Hash(hash))) => {
                let is_verified = self.is_verified(system_id, password, hash.expose());
                is_verified.then_some(Verdict::Right(*account))
            }
            None if by.dummy.is_some() => None,
            None => {
                let _ = is_same(b"", password); // as long as a known id takes
                Some(Verdict::Wrong)
            }
        }
    }

    fn work(&self, jobs: &Mutex<Receiver<Job>>) {
        loop {
            // The lock is held while waiting: the threads take turns, and a job goes to exactly one of them.
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = job else { return };
            let credentials = self.credentials.load_full();
            let verdict = self.judge_slowly(&credentials, &job.system_id, &job.password);
            (job.answer)(self.count(verdict), credentials.generation);
        }
    }

    fn judge_slowly(&self, by: &Credentials, system_id: &[u8], password: &[u8]) -> Verdict {
        if let Some(verdict) = self.judge_quickly(by, system_id, password) {
            return verdict; // another bind of this customer was hashed meanwhile
        }
        let known = match by.accounts.get(system_id) {
            Some((account, Credential::Hash(hash))) => Some((*account, hash)),
            _ => None,
        };
        let hash = known.map(|(_, hash)| String::from_utf8_lossy(hash.expose()).into_owned());
        let hash = hash.or_else(|| by.dummy.clone()).unwrap_or_default();
        self.counters.hashed.fetch_add(1, Ordering::Relaxed);
        let parsed = PasswordHash::new(&hash);
        let is_right = parsed.is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok());
        match known {
            Some((account, _)) if is_right => {
                let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
                if verified.len() >= VERIFIED_MAX {
                    verified.clear();
                }
                verified.insert(self.fingerprint(system_id, password, hash.as_bytes()));
                Verdict::Right(account)
            }
            _ => Verdict::Wrong,
        }
    }

    fn is_verified(&self, system_id: &[u8], password: &[u8], hash: &[u8]) -> bool {
        let fingerprint = self.fingerprint(system_id, password, hash);
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).contains(&fingerprint)
    }

    /// 128 bits that say nothing outside this process. With another hash the password is verified anew.
    fn fingerprint(&self, system_id: &[u8], password: &[u8], hash: &[u8]) -> (u64, u64) {
        let credential = (system_id, password, hash);
        (self.keys.0.hash_one(credential), self.keys.1.hash_one(credential))
    }

    fn count(&self, verdict: Verdict) -> Verdict {
        let counter = match verdict {
            Verdict::Right(_) => &self.counters.right,
            Verdict::Wrong => &self.counters.wrong,
            Verdict::Busy => &self.counters.busy,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        verdict
    }
}

/// Compares in a time that depends on neither: both are brought to one length, and the lengths compared with them.
fn is_same(right: &[u8], given: &[u8]) -> bool {
    let pad = |text: &[u8]| {
        let mut padded = [0; PASSWORD_MAX + 8];
        let length = text.len().min(PASSWORD_MAX);
        padded[..length].copy_from_slice(&text[..length]);
        padded[PASSWORD_MAX..].copy_from_slice(&(text.len() as u64).to_le_bytes());
        padded
    };
    pad(right).ct_eq(&pad(given)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use std::sync::mpsc::channel;

    /// Little memory, so that tests are quick.
    fn hash(password: &[u8]) -> String {
        let params = argon2::Params::new(64, 1, 1, None).unwrap();
        Argon2::from(params).hash_password_with_salt(password, b"some salt 123").unwrap().to_string()
    }

    fn authenticator(queue_max: usize) -> Authenticator {
        let account = |name: &[u8], credential| (AccountId::of_name(name), Box::from(name), credential);
        let credentials = vec![
            account(b"plain", Credential::Plain(Secret::new("secret"))),
            account(b"hashed", Credential::Hash(Secret::new(hash(b"secret")))),
        ];
        Authenticator::start(credentials, AuthOptions { threads: 1, queue_max }).unwrap().0
    }

    fn ask(authenticator: &Authenticator, system_id: &[u8], password: &[u8]) -> Verdict {
        let (sender, receiver) = channel();
        authenticator.ask(system_id, password, move |verdict, _| sender.send(verdict).unwrap());
        receiver.recv().unwrap()
    }

    #[test]
    fn verdicts() {
        let authenticator = authenticator(16);
        for (system_id, password, right) in [
            ("plain", "secret", true),
            ("plain", "secre", false),
            ("plain", "secret\0", false),
            ("plain", "", false),
            ("hashed", "secret", true),
            ("hashed", "secret", true),
            ("hashed", "Secret", false),
            ("nobody", "secret", false),
            ("", "", false),
        ] {
            let expected =
                if right { Verdict::Right(AccountId::of_name(system_id.as_bytes())) } else { Verdict::Wrong };
            assert_eq!(
                ask(&authenticator, system_id.as_bytes(), password.as_bytes()),
                expected,
                "{system_id} {password}"
            );
        }
        let long = vec![b'x'; 5000];
        assert_eq!(ask(&authenticator, b"plain", &long), Verdict::Wrong);
        let counters = authenticator.counters();
        assert_eq!((counters.right.load(Ordering::Relaxed), counters.wrong.load(Ordering::Relaxed)), (3, 7));
    }

    #[test]
    fn a_storm_of_binds_costs_one_hash() {
        let authenticator = authenticator(64);
        let (sender, receiver) = channel();
        for _ in 0..50 {
            let sender = sender.clone();
            authenticator.ask(b"hashed", b"secret", move |verdict, _| sender.send(verdict).unwrap());
        }
        for _ in 0..50 {
            assert_eq!(receiver.recv().unwrap(), Verdict::Right(AccountId::of_name(b"hashed")));
        }
        assert_eq!(authenticator.counters().hashed.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn an_unknown_id_is_hashed_too() {
        let authenticator = authenticator(4);
        assert_eq!(ask(&authenticator, b"nobody", b"secret"), Verdict::Wrong);
        assert_eq!(authenticator.counters().hashed.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_full_queue_sends_away() {
        let authenticator = authenticator(1);
        let (blocker, blocked) = channel::<()>();
        let (started, waiting) = channel();
        authenticator.ask(b"hashed", b"first", move |_, _| {
            started.send(()).unwrap();
            let _ = blocked.recv();
        });
        waiting.recv().unwrap(); // the only thread is busy now
        let (sender, receiver) = channel();
        for _ in 0..2 {
            let sender = sender.clone();
            authenticator.ask(b"hashed", b"other", move |verdict, _| sender.send(verdict).unwrap());
        }
        assert_eq!(receiver.recv().unwrap(), Verdict::Busy);
        drop(blocker);
        assert_eq!(receiver.recv().unwrap(), Verdict::Wrong);
    }

    #[test]
    fn other_credentials_are_judged_by_at_once() {
        let authenticator = authenticator(4);
        let hashed = |password: &[u8]| {
            let credential = Credential::Hash(Secret::new(hash(password)));
            vec![(AccountId::of_name(b"hashed"), Box::from(&b"hashed"[..]), credential)]
        };
        let right = Verdict::Right(AccountId::of_name(b"hashed"));
        assert_eq!(ask(&authenticator, b"hashed", b"secret"), right);
        authenticator.replace(hashed(b"other"), 1);
        assert_eq!(authenticator.generation(), 1);
        assert_eq!(ask(&authenticator, b"hashed", b"secret"), Verdict::Wrong, "although it was right once");
        assert_eq!(ask(&authenticator, b"hashed", b"other"), right);
        assert_eq!(ask(&authenticator, b"plain", b"secret"), Verdict::Wrong, "taken away");
        authenticator.replace(Vec::new(), 2);
        assert_eq!(ask(&authenticator, b"hashed", b"other"), Verdict::Wrong);
    }

    #[test]
    fn hashes_that_can_be_checked() {
        for (hash, usable) in [
            (hash(b"x").as_str(), true),
            ("", false),
            ("secret", false),
            ("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ", false),
            ("$2b$12$abcdefghijklmnopqrstuv", false),
        ] {
            assert_eq!(is_usable_hash(hash.as_bytes()), usable, "{hash}");
        }
    }
}
