//! Control's end towards one shard: questions about binds are judged, directives are sent.

use crate::auth::{Authenticator, Verdict};
use runtime::{Full, Receiver, Sender};
use shard::{BindAnswer, BindQuestion, Directive, Notice};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Control's ends of one shard's two mailboxes.
pub struct ShardDesk {
    /// What the shard tells.
    pub notices: Receiver<Notice>,
    /// What it is told.
    pub directives: Sender<Directive>,
}

/// Notices taken at once.
const NOTICES_MAX: usize = 256;
/// Answers that wait to be passed on: more than a shard has links, each of which waits for one at most.
const ANSWERS_MAX: usize = 65_536;
/// How long to wait before a full mailbox is tried again.
const RETRY: Duration = Duration::from_millis(5);

/// Serves one shard until it has drained or is gone.
pub(crate) async fn serve(
    mut desk: ShardDesk,
    authenticator: Authenticator,
    mut draining: watch::Receiver<bool>,
) {
    let (answers_in, mut answers) = mpsc::channel(ANSWERS_MAX);
    let mut notices = Vec::with_capacity(NOTICES_MAX);
    let mut waiting: VecDeque<Directive> = VecDeque::new();
    let mut told_to_drain = false;
    loop {
        tokio::select! {
            taken = desk.notices.receive(&mut notices, NOTICES_MAX) => {
                if taken.is_err() {
                    return; // the shard is gone
                }
            }
            Some(answer) = answers.recv() => waiting.push_back(Directive::Bind(answer)),
            changed = draining.changed(), if !told_to_drain => {
                told_to_drain = true;
                if changed.is_ok() {
                    waiting.push_back(Directive::Drain);
                }
            }
            () = tokio::time::sleep(RETRY), if !waiting.is_empty() => {}
        }
        for notice in notices.drain(..) {
            match notice {
                Notice::Bind(question) => judge(&authenticator, question, answers_in.clone()),
                Notice::Drained => return,
            }
        }
        while let Ok(answer) = answers.try_recv() {
            waiting.push_back(Directive::Bind(answer));
        }
        send(&mut desk.directives, &mut waiting);
    }
}

fn judge(authenticator: &Authenticator, question: BindQuestion, answers: mpsc::Sender<BindAnswer>) {
    let BindQuestion { ticket, account, system_id, password, peer } = question;
    let name = system_id.escape_ascii().to_string();
    authenticator.ask(&system_id, &password, move |verdict| {
        let answer = match verdict {
            Verdict::Right(found) if found == account => BindAnswer::Right(ticket),
            Verdict::Right(_) | Verdict::Wrong => {
                tracing::info!(system_id = %name, %peer, "wrong password");
                BindAnswer::Wrong(ticket)
            }
            Verdict::Busy => BindAnswer::Busy(ticket),
        };
        // The shard may have ended meanwhile; it cannot be full, see its bound.
        let _ = answers.try_send(answer);
    });
}

fn send(directives: &mut Sender<Directive>, waiting: &mut VecDeque<Directive>) {
    if waiting.is_empty() {
        return;
    }
    while let Some(directive) = waiting.pop_front() {
        if let Err(Full(directive)) = directives.push(directive) {
            waiting.push_front(directive);
            break;
        }
    }
    directives.ring();
}
